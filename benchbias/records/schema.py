"""The closed schema of a record's file: every key, its type and its bounds. Checked once, when a record is read."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from benchbias.errors import UsageError, unknown
from benchbias.records.columns import check_table

TRACKS = ("labels-none", "val-select", "val-fit", "train")
"""Tracks by the group labels that a trial used, weakest first: none, to choose, to fit, those of training."""
LARGEST_METRIC = 1e30  # in size: what is larger overflows in the squares of an interval
ROUNDING = 1e-9

Count = Annotated[int, Field(ge=0, lt=2**63)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Metric = Annotated[float, Field(ge=-LARGEST_METRIC, le=LARGEST_METRIC)]
Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$")]
Text = Annotated[str, Field(max_length=10_000)]
Values = dict[str, bool | int | float | str | list[Any]]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


class SuiteHead(_Closed):
    """The suite of a record: the same in all records of a board."""

    name: Name
    title: Text
    version: Text
    rank_by: Text
    reference: Name | None
    ceiling: Name | None = None
    metrics: Annotated[list[Text], Field(min_length=1)]
    limit: Annotated[int, Field(ge=2, lt=2**63)] | None

    @model_validator(mode="after")
    def _metrics(self) -> SuiteHead:
        if len(set(self.metrics)) < len(self.metrics) or self.rank_by.removeprefix("-") not in self.metrics:
            raise ValueError("metrics must be different ones, and rank_by one of them")
        return self


class Packed(_Closed):
    """Counts of correct predictions, cell by cell: `statistics.cells.unpack_counts` reads them."""

    cells: Count
    bits: Count
    counts: str
    layout: Digest


class ProbeColumn(_Closed):
    """One column of a probe's table."""

    name: Text
    kind: Literal["text", "number", "count", "fraction", "image"]  # a probe has no estimates: seeds are averaged
    unit: Text
    values: list[bool | int | float | str | None]


class ProbeTable(_Closed):
    """The table of a probe, measured on the trial's model: `records.table.Table`."""

    caption: Text
    columns: list[ProbeColumn]

    @model_validator(mode="after")
    def _whole(self) -> ProbeTable:
        check_table(self.caption, [(c.name, c.kind, c.unit, c.values) for c in self.columns])
        return self


class ProbeFailure(_Closed):
    """A probe without a table: the trial's score stands."""

    status: Literal["failed", "skipped"]
    reason: Text


class _Head(_Closed):
    trial: Digest
    suite: SuiteHead
    task: Name
    method: Name
    swept: Values
    settings: Values
    seed: Count
    track: Literal["labels-none", "val-select", "val-fit", "train"]
    ranked: bool
    baseline: Name | None
    settings_from: Literal["default", "iid-val", "paper", "val-groups"] = "default"
    stages: list[Digest]
    environment: dict[str, Any]


class Unscored(_Head):
    """The body of a trial without a score."""

    status: Literal["failed", "skipped"]
    stage: Text
    reason: Text


class Scored(_Head):
    """The body of a trial that is done."""

    status: Literal["ok"]
    metrics: dict[str, Metric | None]
    num_classes: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    preprocessing: Text | None = None
    group_names: Annotated[list[Text], Field(min_length=1)]
    group_correct: list[Count]
    group_total: list[Count]
    group_aligned: list[bool]
    train_group_total: list[Count]
    train_conflicting_accuracy: Fraction | None
    correct: Packed | None = None
    parameters: Count
    nonzero_parameters: Count
    weights: Count
    nonzero_weights: Count
    matrix_weights: Count | None = None  # of all matrices; only where pruning reaches fewer, and not in older records
    flops: Count
    sparse_flops: Count
    sparsity: Fraction
    training_flops: Count | None  # None: weights were changed by work that nothing counts
    training_steps: Count
    selected_epochs: list[Count | None]
    probes: dict[Name, ProbeTable] = {}
    probe_failures: dict[Name, ProbeFailure] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Scored:
        if set(self.metrics) != set(self.suite.metrics):
            raise ValueError("metrics must be those of the suite")
        for name, value in self.metrics.items():
            if name.endswith("accuracy") and value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {value}")
        groups = (self.group_correct, self.group_total, self.group_aligned, self.train_group_total)
        if any(len(column) != len(self.group_names) for column in groups):
            raise ValueError("every list over groups must be as long as group_names")
        parts = zip(
            (*self.group_correct, self.nonzero_parameters, self.nonzero_weights, self.sparse_flops),
            (*self.group_total, self.parameters, self.weights, self.flops),
            strict=True,
        )
        if self.probes.keys() & self.probe_failures.keys():
            raise ValueError("a probe has a table or a failure, not both")
        if any(part > whole for part, whole in parts):
            raise ValueError("a count is larger than its whole (groups, parameters, weights or FLOPs)")
        zeros = 1 - self.nonzero_weights / self.weights if self.weights else 0.0
        if self.matrix_weights is not None and self.matrix_weights < self.weights:
            raise ValueError("matrix_weights count all matrices: they are at least as many as weights")
        if abs(self.sparsity - zeros) > ROUNDING:
            raise ValueError(f"sparsity is {self.sparsity}, but its own counts give {zeros}")
        return self


class AnalysisColumn(_Closed):
    """One column of an analysis' table: an estimate is [mean, standard error, degrees of freedom, n]."""

    name: Text
    kind: Literal["text", "number", "count", "fraction", "image", "estimate"]
    unit: Text
    values: list[bool | int | float | str | list[float | int | None] | None]


class AnalysisTable(_Closed):
    """The table of an analysis, a comparison over all trials of a task: `records.table.Table`."""

    caption: Text
    columns: list[AnalysisColumn]

    @model_validator(mode="after")
    def _whole(self) -> AnalysisTable:
        check_table(self.caption, [(c.name, c.kind, c.unit, c.values) for c in self.columns])
        return self


class AnalysisBody(_Closed):
    """One analysis of one task's trials: its table, or why there is none."""

    suite: SuiteHead
    task: Name
    analysis: Name
    options: dict[str, bool | int | float | str | list[Any] | None]
    trials: Count
    stage: Digest | None
    environment: dict[str, Any]
    status: Literal["ok", "failed", "skipped"]
    reason: Text = ""
    table: AnalysisTable | None = None

    @model_validator(mode="after")
    def _told(self) -> AnalysisBody:
        if (self.status == "ok") != (self.table is not None):
            raise ValueError("an analysis that is ok has a table, and no other has one")
        return self


class AnalysisFile(_Closed):
    """The whole file of an analysis. conflict: whether it came out otherwise when it was computed again."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    body: AnalysisBody
    conflict: bool = False


class MeasuredTable(_Closed):
    """Measurements that differ from run to run: time, memory, hosts, code, on no board.

    conflicts: keys of the trial's stages of which a second computation gave another product; marked on a board.
    """

    seconds: Annotated[float, Field(ge=0)] = 0.0
    cpu_seconds: Annotated[float, Field(ge=0)] = 0.0
    peak_memory_bytes: Count = 0
    hosts: list[Text] = []
    code: list[Text] = []
    conflicts: list[Digest] = []


class RecordFile(_Closed):
    """The whole file. The schema's number is read before anything else."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    body: Annotated[Scored | Unscored, Field(discriminator="status")]
    measured: MeasuredTable


@functools.cache
def _adapter(kind: type[_Closed]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def check_document(document: object, kind: type[_Closed] = RecordFile) -> None:
    """Check the parsed file of a record or an analysis.

    Raises UsageError with the place, what was expected and what came.
    """
    try:
        _adapter(kind).validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(_told(kind, first["type"], first["loc"], first["msg"], first.get("input"))) from None


def _told(top: type[_Closed], kind: str, loc: tuple[int | str, ...], message: str, value: object) -> str:
    place = [str(part) for part in loc if part not in ("ok", "failed", "skipped")]
    if kind == "extra_forbidden":
        return unknown("key", f"{place[-1]:.80}", _known(place[:-1], top), f"{'.'.join(place[:-1])!s:.200}".strip("."))
    came = "" if kind in ("missing", "value_error", "union_tag_not_found") else f", got {value!r:.80}"
    return f"{'.'.join(place)!r:.200}: {message.removeprefix('Value error, ')}{came}"


def _known(place: list[str], top: type[_Closed]) -> list[str]:
    tables: Mapping[str, type[_Closed]] = {
        "": top,
        "body": Scored if top is RecordFile else AnalysisBody,
        "table": AnalysisTable,
        "suite": SuiteHead,
        "correct": Packed,
        "measured": MeasuredTable,
        "probe": ProbeTable,
        "column": ProbeColumn,
        "failure": ProbeFailure,
    }
    fields = tables[_table_of(place)].model_fields
    return [field.alias or name for name, field in fields.items()]


def _table_of(place: list[str]) -> str:
    """The name of the table at a place; probes are named by whoever wrote them."""
    match place:
        case ["body", "probes", _, "columns", _] | ["body", "table", "columns", _]:
            return "column"
        case ["body", "probes", _]:
            return "probe"
        case ["body", "probe_failures", _]:
            return "failure"
    return place[-1] if place else ""
