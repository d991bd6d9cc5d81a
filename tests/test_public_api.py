"""The public surface stays, is documented, grows without breaking old plugins, and goes only with a warning."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch import nn

import benchbias
from benchbias.cli import showing
from benchbias.plugin import components, deprecation, hookspecs
from benchbias.plugin.components import Component
from benchbias.plugin.deprecation import Deprecation
from benchbias.runner.workspace import Workspace
from benchbias.stages import make_mask, train
from benchbias.stages.job import call_component
from benchbias.testing import ToyTrial
from benchbias.testing.calling.subject import Subject
from benchbias.testing.checks import common as common_checks
from support import public_api

POLICY = (public_api.ROOT / "docs/api-policy.md").read_text()


def test_public_names_and_signatures_are_the_committed_ones():
    was, now = public_api.SURFACE.read_text(), public_api.surface_text()
    diff = list(difflib.unified_diff(was.splitlines(), now.splitlines(), n=0, lineterm=""))
    changes = [line for line in diff[2:] if not line.startswith("@@")]
    assert was == now, (
        "the public surface has changed; docs/api-policy.md says what a version may change. If it may, "
        f"`{public_api.COMMAND}` notes it, and CHANGELOG.md tells of it:\n" + "\n".join(changes)
    )


def test_the_reference_is_current():
    assert public_api.REFERENCE.read_text() == public_api.reference_text(), f"run `{public_api.COMMAND}`"


def test_the_surface_holds_every_kind_of_public_thing():
    text = public_api.surface_text()
    for line in (
        "benchbias.PruneContext.prunable(model: nn.Module) -> dict[str, nn.Parameter]",
        "benchbias.TrainContext.reference: nn.Module | None",
        "hook benchbias_pruners() -> dict[str, Callable[..., Any]]",
        "given to a trainer: val_groups",
        "stage key sparsity",
        "toml Recipe.epochs",
        "record Scored.metrics",
        "benchbias run --jobs -j" if "benchbias run --jobs -j" in text else "benchbias run -j --jobs",
        "exit code 4",
        "benchbias.testing.parametrize_with_checks(components: Sequence[Named] | Named | None = None, *, "
        "expected_failures: Mapping[str, str] | None = None) -> Callable[..., Any]",
    ):
        assert f"{line}\n" in text, line
    assert " at 0x" not in text


# documentation


def test_every_given_parameter_has_a_meaning_and_every_hook_a_text():
    assert list(hookspecs.GIVEN_MEANING) == public_api.given_names()
    assert all((getattr(hookspecs, hook).__doc__ or "").strip() for hook in hookspecs.KINDS)


@pytest.mark.parametrize("name", public_api.CONTEXTS)
def test_every_attribute_and_method_of_a_context_is_documented(name: str):
    cls = getattr(benchbias, name)
    for key, member in public_api.public_members(f"benchbias.{name}", cls).items():
        told = public_api.documented(cls, key) if isinstance(member, str) else bool(member.__doc__)
        assert told, (
            f"{name}.{key} is not documented: its class's docstring says `{key}: what it is, its shape and dtype`; "
            "or it is the core's own, and belongs to CORES_OWN in tests/support/public_api.py"
        )


@dataclasses.dataclass
class Undocumented:
    """count: how many. width, height: of what."""

    count: int
    width: int
    other: int = 0


def test_what_no_docstring_tells_is_found():
    told = {field.name: public_api.documented(Undocumented, field.name) for field in dataclasses.fields(Undocumented)}
    assert told == {"count": True, "width": True, "other": False}


def test_every_public_name_says_what_it_is():
    for name, value in public_api.exported().items():
        assert len(public_api.meaning(name, value).split()) > 3, f"{name} has no docstring"


def test_the_policy_names_every_part_of_the_surface():
    parts = ("benchbias.__all__", "benchbias.testing", "hooks", "given", "context", "benchmarks.toml", "exit codes")
    for word in (*parts, public_api.COMMAND):
        assert word in POLICY, word


# growth


def made_with(
    monkeypatch: pytest.MonkeyPatch, longer: bool, work: Callable[[ToyTrial], str]
) -> dict[str, torch.Tensor]:
    """The tensors that a toy trial makes; with `longer` its context has a field more than plugins know."""
    if longer:
        for module, name in ((make_mask, "PruneContext"), (train, "TrainContext")):
            fields = [("later", float, dataclasses.field(default=0.5))]
            context = dataclasses.make_dataclass(
                name, fields, bases=(getattr(module, name),), kw_only=True, frozen=True
            )
            monkeypatch.setattr(module, name, context)
    trial = ToyTrial()
    blobs = trial.made[work(trial)].blobs
    return {f"{blob}.{name}": tensor for blob in blobs for name, tensor in blobs[blob].items()}


def test_a_new_context_field_changes_nothing_for_plugins_that_do_not_know_it(monkeypatch: pytest.MonkeyPatch):
    seen: list[float | None] = []

    def largest(model: nn.Module, data: Any, context: benchbias.PruneContext) -> Any:
        seen.append(getattr(context, "later", None))
        return {name: weight.abs() for name, weight in context.prunable(model).items()}

    def plain(model: nn.Module, data: Any, context: benchbias.TrainContext) -> None:
        seen.append(getattr(context, "later", None))
        context.fit(model, data)

    works: list[Callable[[ToyTrial], str]] = [lambda trial: trial.prune(largest), lambda trial: trial.train(plain)]
    old, new = ([made_with(monkeypatch, longer, work) for work in works] for longer in (False, True))
    for before, after in zip(old, new, strict=True):
        assert before.keys() == after.keys() != set()
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert seen == [None, None, 0.5, 0.5]


@pytest.mark.parametrize("name", public_api.CONTEXTS)
def test_the_fields_of_a_context_are_given_by_name_only(name: str):
    assert all(field.kw_only for field in dataclasses.fields(getattr(benchbias, name)))


def test_a_new_given_parameter_reaches_only_a_component_that_declares_it():
    given = {"model": 1, "data": 2, "context": 3, "later": 4}
    assert call_component(lambda model, context, *, power=2: (model, context, power), given, {"power": 5}) == (1, 3, 5)


def test_a_description_of_this_version_is_read():
    option = {"type": "float", "required": False, "default": 0.5, "range": {"low": 0, "high": 1, "log": False}}
    text = {"kind": "pruner", "name": "old", "given": ["model"], "options": {"power": option}, "summary": ""}
    component = Component.from_json("old.py", json.loads(json.dumps(text)))
    assert component.options["power"].text == "float from 0 to 1"


# going


def test_a_deprecated_name_still_works_and_warns_where_it_is_used(monkeypatch: pytest.MonkeyPatch):
    table = MappingProxyType(
        {"RandomMask": Deprecation("0.9", "benchbias.random_mask", "benchbias.sparse.masks:random_mask")}
    )
    monkeypatch.setattr(deprecation.deprecated_name, "__defaults__", (table,))
    words = r"benchbias\.RandomMask .* goes in benchbias 0\.9: use benchbias\.random_mask"
    with pytest.warns(DeprecationWarning, match=words) as told:
        found = benchbias.RandomMask
    assert found is benchbias.random_mask
    assert told[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=words) as told:
        from benchbias import RandomMask  # noqa: F401
    assert {warning.filename for warning in told} == {__file__}
    with pytest.raises(AttributeError, match="no attribute 'RandomMusk'"):
        _ = benchbias.RandomMusk


def test_deprecations_name_a_version_a_replacement_and_a_home():
    for name, entry in deprecation.NAMES.items():
        assert name not in benchbias.__all__
        assert entry.gone_in
        assert entry.instead
        assert entry.home.count(":") == 1
    for (kind, given), entry in deprecation.PARTS.items():
        assert kind in components.GIVEN
        assert given in ("", *components.GIVEN[kind])
        assert entry.gone_in
        assert entry.instead


def test_who_uses_a_deprecated_hook_or_parameter_is_told(monkeypatch: pytest.MonkeyPatch):
    table = MappingProxyType(
        {
            ("trainer", "train_groups"): Deprecation("0.9", "context.train_groups"),
            ("analysis", ""): Deprecation("1.0", "benchbias_reports"),
        }
    )
    assert deprecation.deprecated_parts("analysis", ("population",), table) == [
        "the hook of a analysis is deprecated and goes in benchbias 1.0: use benchbias_reports"
    ]
    monkeypatch.setattr(deprecation.deprecated_parts, "__defaults__", (table,))
    workspace = Workspace.open(quiet=True)
    told = "the parameter 'train_groups' of a trainer is deprecated and goes in benchbias 0.9: use context.train_groups"
    lines = [line for line in showing.listing(workspace, "plugins").splitlines() if told in line]
    assert any("group_dro" in line for line in lines)
    assert all("erm " not in line for line in lines)
    assert told in showing.details(workspace, "group_dro", None, ())

    def fair(model, data, context, train_groups): ...

    assert common_checks.signature(Subject("trainer", "fair", "fair.py", fair, "fair.py")) == told
    assert common_checks.signature(Subject("trainer", "blind", "fair.py", lambda model: None, "fair.py")) is None
