"""A finished audit, as Python code asks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.values import Answers, Audit, Line, Uneven, Verdict
from benchbias.errors import UsageError, unknown

if TYPE_CHECKING:
    import pandas

    from benchbias.auditing.pages.exits import FailIf, Undecided


@dataclass(frozen=True, repr=False)
class AuditReport:
    """The findings of `benchbias.audit`. audit: all values; runs: the answers that it is of, one for each pair."""

    audit: Audit
    runs: tuple[Answers, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict: `harmed` if any group of any model is, `pass` if all gated groups are safe, else `undecided`."""
        return self.audit.verdict

    @property
    def groups(self) -> tuple[Line, ...]:
        """The lines of all groups of the compressed model. Raises UsageError where there are several: use `lines`."""
        return self.lines()

    @property
    def worst(self) -> Line:
        """The line of the group with the largest harm, of any model."""
        return max((line for model in self.audit.models for line in model.lines), key=lambda line: line.harm)

    @property
    def uneven(self) -> dict[str, Uneven]:
        """By attribute, whether one value of it loses more than the rest: the smallest p of any model."""
        found = sorted((one for model in self.audit.models for one in model.uneven), key=lambda one: -one.p)
        return {one.attribute: one for one in found}

    @property
    def exit_code(self) -> int:
        """The exit code of the command line: 0, 3 where a model harms a group, 5 where it is undecided."""
        return self.exit_code_for()

    def exit_code_for(self, *, fail_if: FailIf = "harmed", undecided: Undecided = "fail") -> int:
        """The exit code by another rule, as `--fail-if` and `--undecided` make it. Raises UsageError."""
        from benchbias.auditing.pages.exits import exit_code

        return exit_code(self.audit, fail_if=fail_if, undecided=undecided)

    def lines(self, model: str | None = None) -> tuple[Line, ...]:
        """The lines of all groups of one compressed model. Raises UsageError for one that there is not."""
        names = [found.name for found in self.audit.models]
        if model is None and len(names) > 1:
            raise UsageError(f"the audit has several models: name one ({', '.join(names)})")
        if model is not None and model not in names:
            raise UsageError(unknown("model", model, names))
        return self.audit.models[0 if model is None else names.index(model)].lines

    @property
    def flips(self) -> list[dict[str, Any]]:
        """The examples that a model lost or gained: model, run, row (from 0), id, label, dense, compressed, change."""
        return list(self._flips())

    def _flips(self) -> Iterator[dict[str, Any]]:
        for number, answers in enumerate(self.runs):
            for name in sorted(answers.compressed):
                given = answers.compressed[name]
                for row in np.flatnonzero(answers.dense != given):
                    label = int(answers.label[row])
                    change = int(answers.dense[row] == label) - int(given[row] == label)
                    if change:
                        yield {
                            "model": name,
                            "run": number,
                            "row": int(row),
                            "id": None if answers.ids is None else answers.ids[row],
                            "label": answers.classes[label],
                            "dense": answers.classes[answers.dense[row]],
                            "compressed": answers.classes[given[row]],
                            "change": "lost" if change > 0 else "gained",
                        }

    def to_frame(self) -> pandas.DataFrame:
        """A pandas DataFrame, one row for each model and group. Raises UsageError where pandas is absent."""
        from benchbias.util.packages import require

        require("pandas", extra="frames", what="AuditReport.to_frame")
        import pandas as frames

        columns = [name for name in Line.__dataclass_fields__ if name not in ("group", "calibration")]
        rows = [
            {"model": model.name, "group": line.group.name, "n": line.group.n, "units": line.group.units}
            | {name: getattr(line, name) for name in columns}
            for model in self.audit.models
            for line in model.lines
        ]
        return frames.DataFrame(rows)

    def to_markdown(self) -> str:
        """The comment of a pull request: verdict, the groups that matter, details."""
        from benchbias.auditing.pages.markdown import markdown

        return markdown(self.audit)

    def to_json(self) -> str:
        """The canonical JSON, by the schema that `benchbias/auditing/pages/` holds."""
        from benchbias.auditing.pages.document import dumps

        return dumps(self.audit)

    def to_text(self, *, width: int = 100, all_groups: bool = False) -> str:
        """The text of the command line, for a terminal of so many columns."""
        from benchbias.auditing.pages.text import text

        return text(self.audit, width=width, all_groups=all_groups)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        """E.g. `AuditReport(harmed: int8 against dense, 6000 examples, 40 groups)`."""
        names = ", ".join(model.name for model in self.audit.models)
        size = f"{self.audit.n} examples, {self.audit.groups} groups"
        return f"AuditReport({self.audit.verdict}: {names} against {self.audit.dense}, {size})"

    def _repr_markdown_(self) -> str:
        """The comment of a pull request, for a notebook."""
        return self.to_markdown()
