"""`benchbias audit plan`: before anything is labelled, what an audit could decide."""

from __future__ import annotations

from benchbias.auditing.before.planning import plan, plan_json, plan_text, sizes
from benchbias.auditing.tables.reading import read_columns
from benchbias.auditing.values import Column
from benchbias.cli.auditing.files import STANDARD_OUTPUT, check_plan, write
from benchbias.cli.auditing.options import Asked
from benchbias.cli.auditing.settings import options_of
from benchbias.errors import UsageError, printable

DONE = 0


def plan_audit(asked: Asked) -> int:
    """Print what an audit of a table's groups could decide; the exit code. Raises BenchbiasError."""
    if asked.table is None:
        raise UsageError("--table is missing: the examples to be, with the columns of their groups")
    if asked.json_file is not None:
        check_plan(asked.json_file)
    settings = options_of(asked)
    columns = list(dict.fromkeys((*(asked.attribute or ()), *([asked.label] if asked.label is not None else []))))
    if not columns:
        raise UsageError("say which columns make groups: --attribute, or --label where labels are known")
    wanted = [*columns, *([asked.cluster] if asked.cluster is not None else [])]
    roles = dict.fromkeys(asked.attribute or (), "attribute")
    roles |= {text: role for role, text in (("label", asked.label), ("cluster", asked.cluster)) if text is not None}
    found = read_columns(asked.table, wanted, roles=roles)
    groups = sizes(
        {name: Column(found[name].codes, tuple(found[name].names)) for name in columns},
        cluster=None if asked.cluster is None else found[asked.cluster].codes,
        depth=settings.depth,
        gate=settings.gate,
    )
    made = plan(groups, asked.discordance, settings.margin, level=settings.level)
    if asked.json_file == STANDARD_OUTPUT:
        print(plan_json(made), end="")
        return DONE
    if asked.json_file is not None:
        write(asked.json_file, plan_json(made))
    print(printable(plan_text(made)), end="")
    return DONE
