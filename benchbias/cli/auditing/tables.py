"""`benchbias audit FILE`: the answers of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchbias.auditing.assembling import audit_answers
from benchbias.auditing.runs.over_runs import audit_runs, in_runs
from benchbias.auditing.tables.reading import read_answers
from benchbias.auditing.values import Answers
from benchbias.cli.auditing.discovery import with_slices
from benchbias.cli.auditing.flips import check_asked, labelled, lacking_labels, tell_unlabelled
from benchbias.cli.auditing.options import LABEL, Asked
from benchbias.cli.auditing.outputs import tell
from benchbias.cli.auditing.settings import checked, options_of
from benchbias.errors import UsageError


def audit_table(asked: Asked) -> int:
    """Audit the answers of a table; the exit code. Raises BenchbiasError."""
    check_names(asked)
    runs, settings = answers_of(asked), options_of(asked)
    check_asked(asked, runs)
    if asked.only_flips:
        if len(runs) == 1 and asked.labels is None and lacking_labels(runs[0]):
            return tell_unlabelled(asked, runs[0], settings)
        runs = labelled(asked, runs)
    warnings = checked(asked, runs)
    audited = audit_answers(runs[0], settings, warnings=warnings) if len(runs) == 1 else None
    found = audited or audit_runs(runs, settings, warnings=warnings)
    return tell(asked, with_slices(asked, found, runs, Path(asked.file or "")), runs)


def check_names(asked: Asked) -> None:
    """Raises UsageError for a column without a name, and for a model without one before its `=`."""
    models = {"--dense": asked.dense or [], "--compressed": asked.compressed or []}
    single = {"--label": asked.label, "--cluster": asked.cluster, "--id": asked.identity, "--image": asked.image}
    columns = {option: [text] for option, text in single.items() if text is not None}
    for option, texts in {**columns, "--attribute": asked.attribute or [], **models}.items():
        for text in texts:
            if not text.strip():
                raise UsageError(f"{option} is empty: name a column of {asked.file}")
    for option, texts in models.items():
        for text in texts:
            if text.strip().startswith("=") or text.strip().endswith("="):
                raise UsageError(f"{option} {text!r:.80}: write COLUMN, or NAME=COLUMN with a name and a column")


def answers_of(asked: Asked) -> list[Answers]:
    """The answers of the table, one for each training run: several dense models make pairs with the compressed ones."""
    dense, compressed = asked.dense or [], asked.compressed or []
    if len(dense) == 1:
        return [_read(asked, dense[0], compressed)]
    if len(dense) != len(compressed):
        raise UsageError(
            f"{len(dense)} dense models and {len(compressed)} compressed ones: several training runs are pairs, the "
            "first --dense with the first --compressed"
        )
    return in_runs([_read(asked, one, [other]) for one, other in zip(dense, compressed, strict=True)])


def _label(asked: Asked) -> str | None:
    """The column of labels; None where none is named and labels may be missing."""
    return asked.label if asked.only_flips else asked.label or LABEL


def _read(asked: Asked, dense: str, compressed: Sequence[str]) -> Answers:
    assert asked.file is not None
    found = read_answers(
        Path(asked.file),
        _label(asked),
        dense,
        compressed,
        asked.attribute or (),
        cluster=asked.cluster,
        identity=asked.identity,
        image=asked.image,
        join=asked.join or (),
        classes=asked.classes,
        unlabelled=asked.only_flips,
    )
    return replace(found, label_name=asked.label or LABEL)
