"""The file of milliseconds and bytes of a suite's finished networks: its closed schema, read and written. No torch.

It lies beside the records and is no part of them: what is measured differs from machine to machine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchbias.errors import BenchbiasError, NewerRecordError, StorageError, UsageError
from benchbias.records.latency_claims import Interval
from benchbias.records.schema import Count, Digest, Fraction, Name, Text, Values
from benchbias.util import canonical
from benchbias.util.files import read_regular
from benchbias.util.validation import validation_text

SCHEMA = 1
MAX_BYTES = 16 << 20
FOLDER = "latency"  # below a results folder or a published one

Positive = Annotated[float, Field(gt=0, le=1e12)]
What = Literal["dense", "finished", "slimmed"]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


class Spread(_Closed):
    """A median with what is around it: quartiles of samples, or the bounds of a 95 % interval."""

    median: Positive
    lower: Positive
    upper: Positive

    @property
    def interval(self) -> Interval:
        """(median, lower, upper)."""
        return self.median, self.lower, self.upper

    @model_validator(mode="after")
    def _ordered(self) -> Spread:
        if not self.lower <= self.median <= self.upper:
            raise ValueError("a median must lie between its bounds")
        return self


class Timing(_Closed):
    """The time of a forward pass of `batch` images.

    milliseconds: with quartiles. ratio: to the dense network in the same round, with the 95 % interval of its median.
    gain: whether that interval lies below all that two copies of the dense network differ by (`latency_claims`).
    """

    batch: Annotated[int, Field(ge=1, lt=2**31)]
    milliseconds: Spread
    ratio: Spread
    gain: bool


class Network(_Closed):
    """One network: dense, finished (dense weights, removed ones zero), or slimmed.

    bytes: of its file of tensors. nonzero: parameters that are not zero. timings: one for each size of a batch.
    """

    what: What
    parameters: Count
    nonzero: Count
    bytes: Count
    timings: Annotated[list[Timing], Field(min_length=1)]

    @property
    def batches(self) -> list[int]:
        return [timing.batch for timing in self.timings]

    def timing(self, batch: int) -> Timing:
        """The timing of a size of a batch that the network has."""
        return next(timing for timing in self.timings if timing.batch == batch)


class Machine(_Closed):
    """Where and when it was measured."""

    cpu: Text
    device: Text
    system: Text
    torch: Text
    benchbias: Text
    threads: Annotated[int, Field(ge=1)]
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class Earlier(_Closed):
    """How networks were measured that stay from an earlier measurement."""

    machine: Machine
    repeats: Annotated[int, Field(ge=1)]
    busy: Text | None


class Architecture(_Closed):
    """The dense network that rows of one task are compared with, timed twice: `again` is the second copy.

    network: the name of its factory. images: the shape of one. earlier: how it was measured, where that was not with
    the rest of the file.
    """

    task: Name
    network: Text
    images: Annotated[list[Count], Field(min_length=1, max_length=4)]
    dense: Network
    again: Network
    earlier: Earlier | None = None


class LatencyRow(_Closed):
    """A row's network of one seed: as it is finished, and slimmed where units could be cut out.

    product: the key of the stage that scored it. architecture: the place of its dense network in the list. left: what
    could not be cut, a line for each layer; note: why it was not slimmed, where that was not tried.
    """

    trial: Digest
    product: Digest
    task: Name
    method: Name
    swept: Values
    row: Text
    seed: Count
    architecture: Annotated[int, Field(ge=0)]
    units: bool
    finished: Network
    slimmed: Network | None = None
    left: list[Text] = []
    note: Text | None = None


class LeftOut(_Closed):
    """A row without a timed network, and why."""

    task: Name
    row: Text
    reason: Text


class Latency(_Closed):
    """Milliseconds and bytes of a suite's rows. busy: why the times cannot be trusted; None where nothing tells so.

    own_time: the share of the wall time that the process was at work while it measured, on a CPU.
    """

    schema_: Annotated[int, Field(alias="schema", ge=SCHEMA, le=SCHEMA)] = SCHEMA
    suite: Name
    version: Text
    limit: Annotated[int, Field(ge=2, lt=2**63)] | None
    machine: Machine
    repeats: Annotated[int, Field(ge=1)]
    busy: Text | None
    own_time: Fraction | None
    architectures: list[Architecture]
    rows: list[LatencyRow]
    left_out: list[LeftOut]

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="after")
    def _whole(self) -> Latency:
        for architecture in self.architectures:
            _check_network(architecture.dense, "dense", architecture.dense, "a dense network")
            _check_network(architecture.again, "dense", architecture.dense, "the second copy of a dense network")
        for row in self.rows:
            if row.architecture >= len(self.architectures):
                raise ValueError(f"the row {row.row!r} names a dense network that is not there")
            architecture = self.architectures[row.architecture]
            if architecture.task != row.task:
                raise ValueError(f"the row {row.row!r} names a dense network of another task")
            _check_network(row.finished, "finished", architecture.dense, f"the row {row.row!r}")
            if row.slimmed is not None:
                _check_network(row.slimmed, "slimmed", architecture.dense, f"the row {row.row!r}, slimmed,")
        return self

    def to_text(self) -> str:
        """The file: canonical JSON."""
        return canonical.dumps(self.model_dump(by_alias=True)) + "\n"


def _check_network(network: Network, what: What, dense: Network, called: str) -> None:
    """Refuse a network that is none of this kind, or whose batches are not those of its dense one."""
    if network.what != what:
        raise ValueError(f"{called} is said to be {network.what}, not {what}")
    if len(set(network.batches)) != len(network.batches):
        raise ValueError(f"{called} has two times of one size of a batch")
    if sorted(network.batches) != sorted(dense.batches):
        raise ValueError(f"{called} has times of batches of {network.batches}, the dense one of {dense.batches}")


def latency_file(root: Path, label: str) -> Path:
    """Where the file of a suite lies, below a results folder or a published one."""
    return root / FOLDER / f"{label}.json"


def read_latency(root: Path, label: str) -> Latency | None:
    """The milliseconds and bytes of a suite; None where nobody has measured them. Raises UsageError, StorageError."""
    path = latency_file(root, label)
    try:
        document = canonical.loads(read_regular(path, MAX_BYTES))
        schema = document.get("schema") if isinstance(document, dict) else None
        if type(schema) is int and schema > SCHEMA:
            raise NewerRecordError(f"its schema is {schema}, not {SCHEMA}: it was made by a newer benchbias; upgrade")
        found = Latency.model_validate(document)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        raise UsageError(f"{path}: {validation_text(error)}") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
    except NewerRecordError as error:
        raise NewerRecordError(f"{path}: {error}") from None
    except BenchbiasError as error:
        raise UsageError(f"{path}: {error}") from None
    if (found.suite if found.limit is None else f"{found.suite}.limit-{found.limit}") != label:
        raise UsageError(f"{path}: it is of the suite {found.suite!r}, not of {label!r}")
    return found


def readable_latency(root: Path, label: str, tell: Callable[[str], None]) -> Latency | None:
    """The same, for boards, which do without a file that cannot be read: then `tell` is told in one line."""
    try:
        return read_latency(root, label)
    except BenchbiasError as error:
        tell(f"the board is without milliseconds and bytes: {error}")
        return None
