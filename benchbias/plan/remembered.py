"""The selection of the last run of a suite in a results folder: written by the run, read by verbs that look at it.

It is data that anybody may have edited, and it is only ever parsed: a plugin that it names is told, and never loaded.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchbias.errors import BenchbiasError, NewerError, UsageError, plain
from benchbias.plan.trials import Selection
from benchbias.store.store import Store
from benchbias.suite.catalogue import NAME
from benchbias.util import canonical
from benchbias.util.files import read_regular

SCHEMA: Literal[1] = 1
MAX_BYTES = 1 << 20
MOST = 10_000  # of anything that a selection lists

Text = Annotated[str, Field(min_length=1, max_length=4096)]
Texts = Annotated[list[Text], Field(max_length=MOST)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Remembered(BaseModel):
    """The options of a run of a suite. None: it was not asked. config, plugins, data_dir: absolute paths.

    seeds: a number of seeds, or a list of them. device: where it ran. stack: seeds that were trained at once.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    schema_: Annotated[Literal[1], Field(alias="schema")] = SCHEMA
    methods: Texts | None = None
    tasks: Texts | None = None
    seeds: Annotated[int, Field(ge=1, le=MOST)] | Annotated[list[Seed], Field(min_length=1, max_length=MOST)] | None = (
        None
    )
    assignments: Texts = []
    limit: Annotated[int, Field(ge=2, lt=2**63)] | None = None
    device: Text = "cpu"
    stack: Annotated[int, Field(ge=1, le=MOST)] | None = None
    config: Text | None = None
    plugins: Texts = []
    data_dir: Text | None = None

    @staticmethod
    def of(selection: Selection, config: Path | None, plugins: Sequence[Path], data_dir: Path | None) -> Remembered:
        """Raises UsageError for a selection that is too long to be remembered."""
        seeds = selection.seeds
        try:
            return Remembered(
                methods=None if selection.methods is None else list(selection.methods),
                tasks=None if selection.tasks is None else list(selection.tasks),
                seeds=seeds if seeds is None or isinstance(seeds, int) else list(seeds),
                assignments=list(selection.assignments),
                limit=selection.limit,
                device=selection.device,
                stack=selection.stack,
                config=None if config is None else str(config.absolute()),
                plugins=[str(path.absolute()) for path in plugins],
                data_dir=None if data_dir is None else str(data_dir.absolute()),
            )
        except ValidationError as error:
            raise UsageError(_told(error)) from None

    @property
    def selection(self) -> Selection:
        """The part of the suite that was planned."""
        chosen = (self.methods, self.tasks, self.seeds, self.assignments, self.limit, self.device)
        return Selection(*chosen, stack=self.stack)

    @property
    def is_whole(self) -> bool:
        """Whether the run was of the whole suite, as it is without any option."""
        return self.model_copy(update={"plugins": []}) == Remembered()

    def options(self) -> str:
        """The options of the command line that say the same, without those of plugins."""
        seeds = self.seeds
        told = [
            *_repeated("-m", self.methods or ()),
            *_repeated("-t", self.tasks or ()),
            *(["--seeds", str(seeds)] if isinstance(seeds, int) else []),
            *(["--seed", str(seeds[0])] if isinstance(seeds, list) and len(seeds) == 1 else []),
            *(["--seeds", ",".join(map(str, seeds))] if isinstance(seeds, list) and len(seeds) > 1 else []),
            *_repeated("--set", self.assignments),
            *([] if self.limit is None else ["--limit", str(self.limit)]),
            *([] if self.device == "cpu" else ["--device", self.device]),
            *([] if self.stack is None else ["--stack", str(self.stack)]),
            *([] if self.config is None else ["--config", self.config]),
            *([] if self.data_dir is None else ["--data-dir", self.data_dir]),
        ]
        return plain(shlex.join(told))


def _repeated(option: str, values: Sequence[str]) -> list[str]:
    return [part for value in values for part in (option, value)]


def _told(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key, *deeper = first["loc"] or ("",)
    place = [str(key).replace("schema_", "schema"), *(str(part) for part in deeper if isinstance(part, int))]
    said = "a JSON object is expected" if not first["loc"] else f"{'.'.join(place)}: {first['msg']}"
    return plain(said)[:200]


def remembered_file(out: Path, suite: str) -> Path:
    """Where the selection of a suite's last run lies. Raises UsageError for what is no name of a suite."""
    if not NAME.fullmatch(suite):
        raise UsageError(f"no name of a suite: {suite!r:.80}")
    return out / "plans" / f"last-run.{suite}.json"


def remember(store: Store, suite: str, asked: Remembered) -> None:
    """Write the selection of a run. Raises StorageError."""
    store.replace(remembered_file(store.root, suite), canonical.dumps(asked.model_dump(by_alias=True)) + "\n")


def recall(out: Path, suite: str) -> Remembered | None:
    """The selection of the last run of a suite in a results folder; None where none is there, or no suite has the name.

    Raises UsageError for a file that is damaged or that this benchbias cannot read.
    """
    if not NAME.fullmatch(suite):
        return None
    path = remembered_file(out, suite)
    try:
        document = canonical.loads(read_regular(path, MAX_BYTES))
        canonical.refuse_newer(document, SCHEMA, path)
        return Remembered.model_validate(document)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        raise UsageError(f"{path}: {_told(error)}") from None
    except NewerError as error:
        raise UsageError(str(error)) from None
    except BenchbiasError as error:
        raise UsageError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from None


def last_run(out: Path, suite: str) -> str:
    """The words on a last run of a part of a suite, for a message on what is not there; empty where none is known."""
    try:
        last = recall(out, suite)
    except UsageError:
        return ""
    return "" if last is None or last.is_whole else f"; the last run there was of {last.options()}"
