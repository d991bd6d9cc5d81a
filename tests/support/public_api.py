"""The public surface, read from the code: what docs/api-policy.md promises, and docs/reference.md.

python tests/support/public_api.py            prints the surface
python tests/support/public_api.py --write    writes tests/support/public_api.txt and docs/reference.md
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main

import benchbias
from benchbias import cli, errors, testing
from benchbias.plugin import components, hookspecs
from benchbias.records import population, schema
from benchbias.suite import tables
from benchbias.training import fit as training

ROOT = Path(__file__).parents[2]  # not that of `support`, which a script in this folder cannot import
SURFACE = ROOT / "tests/support/public_api.txt"
REFERENCE = ROOT / "docs/reference.md"
COMMAND = "python tests/support/public_api.py --write"

CONTEXTS = sorted(name for name in benchbias.__all__ if name.endswith("Context"))

MADE_BY_THE_CORE = {*CONTEXTS, "Member", "Results", "TrialRecord", "ToyTrial"}
"""Classes whose constructors are not public: the core alone makes them."""

OF_CONTEXTS = {
    "heads",
    *("data", "order", "layers", "earlier", "written", "reports", "holder", "after_epoch"),
    *("dense_gradients", "gradient_reads", "read_gradients", "amount", "amount_reads", "weights"),
}
CORES_OWN = {
    **dict.fromkeys(CONTEXTS, OF_CONTEXTS),
    "Results": {"plan", "store", "report", "text", "shown", "layouts"},
}
"""Attributes by which the core does its work: not public, whatever they are called."""


def exported() -> dict[str, Any]:
    """Every public name with what it is, and `Member`, of which a `Population` is made."""
    own = {f"benchbias.{name}": getattr(benchbias, name) for name in benchbias.__all__}
    kit = {f"benchbias.testing.{name}": getattr(testing, name) for name in testing.__all__}
    return own | {"benchbias.records.population.Member": population.Member} | kit


def public_members(name: str, cls: type) -> dict[str, Any]:
    """The public attributes and methods of a class by name: field types as text, functions and properties."""
    found: dict[str, Any] = {}
    for base in reversed([base for base in cls.__mro__ if base.__module__.startswith("benchbias")]):
        found |= dict(vars(base).get("__annotations__", {}))
        found |= {
            key: value
            for key, value in vars(base).items()
            if isinstance(value, property | staticmethod | classmethod) or inspect.isfunction(value)
        }
    hidden = CORES_OWN.get(name.rpartition(".")[2], set())
    return {key: value for key, value in found.items() if not key.startswith("_") and key not in hidden}


def signature_text(function: Any) -> str:
    """Its parameters as its author wrote them."""
    text = str(inspect.signature(function))
    text = re.sub(r"""(: |-> )(?:"([^"]*)"|'([^']*)')""", r"\1\2\3", text)
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    return re.sub(r"\(self(, )?", "(", text, count=1)


def member_text(name: str, value: Any) -> str:
    """One attribute or method in one line."""
    if isinstance(value, property):
        (kind,) = re.findall(r"-> (.*)", signature_text(value.fget))
        return f"{name}: {kind}"
    if isinstance(value, str):
        return f"{name}: {value}"
    return f"{name}{signature_text(getattr(value, '__func__', value))}"


def surface() -> Iterator[str]:
    """The public surface, one thing a line."""
    for name, value in exported().items():
        short = name.rpartition(".")[2]
        if inspect.isclass(value):
            bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
            yield f"class {name}({bases})" if bases else f"class {name}"
            if short not in MADE_BY_THE_CORE and not issubclass(value, Exception):
                yield f"{name}{signature_text(value)}"
            yield from (f"{name}.{member_text(key, member)}" for key, member in public_members(name, value).items())
        else:
            yield f"{name}{signature_text(value)}" if inspect.isfunction(value) else name
    for hook, kind in hookspecs.KINDS.items():
        yield f"hook {hook}{signature_text(getattr(hookspecs, hook))}"
        yield from (f"given to a {kind}: {given}" for given in components.GIVEN[kind])
    yield f"hook {hookspecs.RECORD}{signature_text(getattr(hookspecs, hookspecs.RECORD))}"
    yield from (f"stage key {key}" for key in sorted(components.STAGE_KEYS))
    for table in ("SuiteTable", "TaskTable", "MethodTable", "Recipe"):
        yield from (f"toml {table}.{key}" for key in getattr(tables, table).model_fields)
    for table in ("SuiteHead", "Scored", "Unscored"):
        yield from (f"record {table}.{key}" for key in getattr(schema, table).model_fields)
    for verb, command in typer.main.get_command(cli.app).commands.items():
        for parameter in command.params:
            shown = " ".join(parameter.opts) if parameter.param_type_name == "option" else parameter.name.upper()
            yield f"benchbias {verb} {shown}"
    codes = {error.exit_code for error in vars(errors).values() if hasattr(error, "exit_code")}
    yield from (f"exit code {code}" for code in sorted({0, 3, cli.BUG, cli.INTERRUPTED} | codes))


def surface_text() -> str:
    """The committed file."""
    return "".join(f"{line}\n" for line in surface())


def documented(cls: type, field: str) -> bool:
    """Whether a class or its bases tell of a field, as `field: what it is` or `field, other: what they are`."""
    text = " ".join(" ".join((vars(base).get("__doc__") or "").split()) for base in cls.__mro__)
    return re.search(rf"(?:^|[ .;]){field}(?:, \w+)*(?: \([^)]*\))?: ", text) is not None


def paragraphs(text: str | None) -> list[str]:
    """A docstring's paragraphs, each on one line."""
    return [" ".join(part.split()) for part in inspect.cleandoc(text or "").split("\n\n")]


def reference() -> Iterator[str]:
    """docs/reference.md, block by block."""
    yield "# Reference"
    yield f"Made from the code by `{COMMAND}`. How long it stays so says [api-policy.md](api-policy.md)."
    yield "## Hooks"
    yield from paragraphs(hookspecs.__doc__)
    for hook, kind in hookspecs.KINDS.items():
        yield f"### `{hook}()`"
        yield from paragraphs(getattr(hookspecs, hook).__doc__)
        yield "Given, before `*`: " + ", ".join(f"`{name}`" for name in components.GIVEN[kind]) + "."
    yield f"### `{hookspecs.RECORD}(record)`"
    yield from paragraphs(getattr(hookspecs, hookspecs.RECORD).__doc__)
    yield "## Given parameters"
    kinds = {name: [kind for kind in components.GIVEN if name in components.GIVEN[kind]] for name in given_names()}
    rows = [f"| `{name}` | {', '.join(kinds[name])} | {hookspecs.GIVEN_MEANING.get(name, '')} |" for name in kinds]
    yield "\n".join(["| parameter | of | what it is |", "|---|---|---|", *rows])
    yield "## Contexts"
    for name in CONTEXTS:
        yield from described(f"benchbias.{name}", getattr(benchbias, name))
    yield "### The arguments of `context.fit`"
    yield from paragraphs(training.fit.__doc__)[1:]
    yield (
        "A `Loss` is `(model, batch: Batch) -> Tensor` of shape (); the default is the mean cross-entropy. A `Recipe` "
        "has the keys of [benchmarks-toml.md](benchmarks-toml.md#recipes) as attributes."
    )
    yield "## Public names"
    for name, value in exported().items():
        if name.rpartition(".")[2] not in CONTEXTS:
            yield from described(name, value)


def given_names() -> list[str]:
    return list(dict.fromkeys(name for names in components.GIVEN.values() for name in names))


def described(name: str, value: Any) -> Iterator[str]:
    """A public name: how it is written, what its docstring says, its attributes and methods."""
    made = inspect.isclass(value) and (name.rpartition(".")[2] in MADE_BY_THE_CORE or issubclass(value, Exception))
    yield f"### `{name}`"
    if not made and (inspect.isclass(value) or inspect.isfunction(value)):
        yield f"`{name.rpartition('.')[2]}{signature_text(value)}`"
    yield from paragraphs(meaning(name, value))
    if not inspect.isclass(value):
        return
    for base in [base for base in value.__mro__[1:] if dataclasses.is_dataclass(base)]:
        yield from paragraphs(base.__doc__)
    members = public_members(name, value)
    fields = [f"`{member_text(key, kind)}`" for key, kind in members.items() if isinstance(kind, str)]
    if fields:
        yield "Attributes: " + ", ".join(fields) + "."
    methods = {key: member for key, member in members.items() if not isinstance(member, str)}
    if methods:
        yield "\n".join(
            f"- `{member_text(key, member)}`: {' '.join(paragraphs(inspect.getdoc(member)))}".removesuffix(": ")
            for key, member in methods.items()
        )


def meaning(name: str, value: Any) -> str:
    """What a public name's docstring says; of a type alias, the string after it in the source."""
    if inspect.isclass(value) or inspect.isfunction(value):
        return value.__doc__ or ""
    return ALIASES.get(name, "")


ALIASES: Mapping[str, str] = {
    "benchbias.Scores": "`Mapping[str, Tensor]`: parameter name -> float tensor of the parameter's shape, or (O,) for "
    "whole output units, the first axis of the weight; higher is kept longer.",
    "benchbias.hookimpl": "The decorator of a hook's implementation: pluggy's marker of the project `benchbias`.",
}
"""What has no docstring of its own."""


def reference_text() -> str:
    """The committed page."""
    return "\n\n".join(block for block in reference() if block) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        SURFACE.write_text(surface_text())
        REFERENCE.write_text(reference_text())
    else:
        print(surface_text(), end="")
