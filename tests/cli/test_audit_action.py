"""The workflow action of an audit: its steps are run as GitHub runs them, with a `gh` that only notes its calls."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import subprocess
import sys

import pytest
import yaml

from support import DOCS, ROOT
from support.markdown import blocks
from support.running import benchbias

ACTION = yaml.safe_load((ROOT / ".github/actions/audit/action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
MARKER = "<!-- benchbias audit: audit -->"
GH = """#!/usr/bin/env python3
import json, os, pathlib, sys
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
bodies = [word.partition("=@")[2] for word in sys.argv if word.startswith("body=@")]
for body in bodies:
    pathlib.Path(os.environ["CALLS"]).with_name("body.md").write_bytes(pathlib.Path(body).read_bytes())
if os.environ.get("GH_FAILS"):
    sys.exit("gh: Resource not accessible by integration (HTTP 403)")
if "--jq" in sys.argv:
    print(os.environ.get("COMMENTS", ""))
"""


@pytest.fixture
def job(tmp_path):
    """A folder of a job, and a function that runs a step of the action in it."""
    tools, temp = tmp_path / "tools", tmp_path / "temp"
    for folder in (tools, temp):
        folder.mkdir()
    installed = temp / "benchbias/bin/benchbias"
    installed.parent.mkdir(parents=True)
    program = f'#!/bin/sh\nexec {sys.executable} -m benchbias "$@"\n'
    for file, text in {tools / "gh": GH, installed: program}.items():
        file.write_text(text)
        file.chmod(stat.S_IRWXU)
    rows = ["id,y,sex,dense,int8"]
    for at in range(400):
        lost = at % 2 == 0 and at < 100
        rows.append(f"{at},{at % 4 // 2},{'mf'[at % 2]},{at % 4 // 2},{1 - at % 4 // 2 if lost else at % 4 // 2}")
    (tmp_path / "answers.csv").write_text("\n".join(rows) + "\n")
    outputs = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "CALLS")}
    defaults = {name: str(value.get("default", "")) for name, value in ACTION["inputs"].items()}
    defaults |= {"table": "answers.csv", "label": "y", "attribute": "sex", "dense": "dense", "compressed": "int8"}

    def run(step: str, *, code: str = "", environment=None, **inputs: str):
        given = {name.upper().replace("-", "_"): value for name, value in defaults.items()}
        given |= {"REPOSITORY": "o/r", "NUMBER": "7", "CODE": code, "RUNNER_TEMP": str(temp)}
        given |= {name.upper(): value for name, value in inputs.items()} | (environment or {})
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        known = set(STEPS[step]["env"]) | {"RUNNER_TEMP", "RUNNER_OS", "GH_FAILS", "COMMENTS"}
        variables = os.environ | {name: value for name, value in given.items() if name in known}
        variables |= {name: str(file) for name, file in outputs.items()} | {"PATH": path}
        (tmp_path / "step.sh").write_text(STEPS[step]["run"])
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "step.sh"]
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)

    return tmp_path, run


def outputs_of(folder) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (folder / "GITHUB_OUTPUT").read_text().splitlines())


def calls_of(folder) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "CALLS").read_text().splitlines()]


def test_every_option_that_it_passes_is_one_of_the_verb():
    told = benchbias("audit", "--help").stdout
    passed = set(re.findall(r"(--[a-z-]+) \"\$", STEPS["Audit"]["run"]))
    assert {"--label", "--attribute", "--fail-if", "--undecided", "--json", "--markdown"} <= passed
    assert {option for option in passed if f"{option} " not in told} == set()


def test_the_workflow_on_the_page_uses_the_action_as_it_is():
    (text,) = blocks((DOCS / "audit.md").read_text(), "yaml")
    workflow = yaml.safe_load(text)
    (step,) = (step for step in workflow["jobs"]["audit"]["steps"] if "benchbias" in step.get("uses", ""))
    place = step["uses"].partition("benchbias/")[2].partition("@")[0]
    assert (ROOT / place / "action.yml").is_file()
    required = {name for name, value in ACTION["inputs"].items() if value.get("required")}
    assert required <= set(step["with"]) <= set(ACTION["inputs"])
    assert workflow["permissions"]["pull-requests"] == "write"


def test_every_input_reaches_a_step_by_an_environment_variable_alone():
    """An expression in a script would run what a table or a branch is called."""
    text = json.dumps([step.get("env", {}) for step in STEPS.values()]) + STEPS["Comment"]["if"]
    for name in ACTION["inputs"]:
        assert f"inputs.{name} " in text or f"inputs.{name}}}" in text, f"the input {name} is not read"
    for step in STEPS.values():
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
        for name in step["env"]:
            assert f"${name}" in step["run"] or name == "GH_TOKEN", f"{name} is not read"


def test_harm_is_told_in_summary_comment_and_code(job):
    folder, run = job
    done = run("Audit")
    assert done.returncode == 0, done.stderr
    assert outputs_of(folder) == {"code": "3", "verdict": "harmed"}
    summary = (folder / "GITHUB_STEP_SUMMARY").read_text()
    assert summary.startswith(f"{MARKER}\n### **HARMED**")
    for name in ("benchbias-audit.json", "benchbias-audit.html", "benchbias-flips.csv"):
        assert (folder / name).stat().st_size
    assert run("Comment").returncode == 0
    ask, write = calls_of(folder)
    assert ask[:3] == ["api", "--paginate", "repos/o/r/issues/7/comments"]
    assert MARKER in ask[-1]
    assert write[:4] == ["api", "--method", "POST", "repos/o/r/issues/7/comments"]
    assert (folder / "body.md").read_text() == summary
    assert run("Verdict", code="3").returncode == 3


def test_an_older_comment_is_brought_up_to_date(job):
    folder, run = job
    (folder / "temp/benchbias-second.md").write_text("new")
    assert run("Comment", key="second", environment={"COMMENTS": "41\n42"}).returncode == 0
    ask, write = calls_of(folder)
    assert "<!-- benchbias audit: second -->" in ask[-1]
    assert write[:4] == ["api", "--method", "PATCH", "repos/o/r/issues/comments/41"]
    assert (folder / "body.md").read_text() == "new"


def test_lists_of_columns_and_choices_reach_the_audit(job):
    folder, run = job
    text = (folder / "answers.csv").read_text().replace("int8", "int 8")
    (folder / "answers.csv").write_text(text)
    done = run(
        "Audit", attribute="sex\n\n", compressed="int 8\n", undecided="warn", cluster="id", margin="5", key="n-2"
    )
    assert outputs_of(folder)["verdict"] == "harmed", done.stderr
    written = json.loads((folder / "benchbias-audit.json").read_text())
    assert (folder / "GITHUB_STEP_SUMMARY").read_text().startswith("<!-- benchbias audit: n-2 -->\n### **HARMED**")
    assert written["models"][0]["name"] == "int 8"
    assert written["options"]["margin"] == 0.05


def test_a_mistake_is_told_and_an_older_comment_does_not_stand(job):
    folder, run = job
    (folder / "temp/benchbias-audit.md").write_text("old")
    done = run("Audit", label="nothing")
    assert done.returncode == 0
    assert outputs_of(folder) == {"code": "2", "verdict": ""}
    assert "nothing" in done.stderr
    run("Comment")
    assert "The audit could not run" in (folder / "body.md").read_text()
    assert (folder / "body.md").read_text().startswith(MARKER)


@pytest.mark.parametrize("key", ["", "a b", "a;b", "x-->", "$(id)", "../up"])
def test_a_key_that_could_be_more_than_a_name_is_refused(job, key: str):
    folder, run = job
    done = run("Audit", key=key)
    assert done.returncode == 2
    assert "::error::key" in done.stdout
    assert not (folder / "GITHUB_OUTPUT").exists()


def test_names_are_never_run_as_commands(job):
    folder, run = job
    (folder / "$(touch stolen).csv").write_text((folder / "answers.csv").read_text())
    run("Audit", table="$(touch stolen).csv", attribute="$(touch stolen)\n`touch stolen`\n; touch stolen")
    assert not (folder / "stolen").exists()


def test_a_fork_whose_token_cannot_write_gets_a_warning_and_the_verdict(job):
    folder, run = job
    (folder / "temp/benchbias-audit.md").write_text("new")
    done = run("Comment", environment={"GH_FAILS": "1"})
    assert done.returncode == 0
    assert "::warning::no comment was written" in done.stdout


@pytest.mark.parametrize("name", ["json", "html", "flips"])
@pytest.mark.parametrize("file", ["-", "", "/dev/stdout"])
def test_an_output_that_is_no_file_is_refused_with_one_line(job, name: str, file: str):
    folder, run = job
    done = run("Audit", **{name: file})
    assert done.returncode == 2
    assert done.stdout.splitlines() == [f"::error::json, html and flips name files, not '{file}'"]
    assert not (folder / "GITHUB_OUTPUT").exists()


def test_names_of_the_table_are_no_commands_of_the_workflow(job):
    """All that the audit prints stands between two lines with a token that nobody can know."""
    folder, run = job
    text = (folder / "answers.csv").read_text().replace(",m,", ",::error::m,")
    (folder / "answers.csv").write_text(text)
    stops = set()
    for _ in range(2):
        first, *told, last = run("Audit").stdout.splitlines()
        assert any("::error::m" in line for line in told)
        stop = first.removeprefix("::stop-commands::")
        assert re.fullmatch(r"benchbias-[0-9a-f]{32}", stop)
        assert last == f"::{stop}::"
        stops.add(stop)
    assert len(stops) == 2


def test_a_comment_never_says_another_exit_code_than_the_step_ends_with(job):
    folder, run = job
    (folder / "taken").mkdir()
    assert run("Audit", html="taken").returncode == 0
    assert outputs_of(folder) == {"code": "4", "verdict": ""}
    summary = (folder / "GITHUB_STEP_SUMMARY").read_text()
    assert re.findall(r"Exit code (\d+)", summary) == ["4"]


def test_no_step_changes_the_path_of_later_ones_and_the_installed_one_is_on_path(job):
    folder, run = job
    assert "GITHUB_PATH" not in json.dumps([step["run"] for step in STEPS.values()])
    (folder / "temp/benchbias/bin/benchbias").rename(folder / "tools/benchbias")
    assert run("Audit", version="installed").returncode == 0
    assert outputs_of(folder)["code"] == "3"


def test_another_system_is_refused_with_one_line(job):
    _, run = job
    done = run("Install benchbias", environment={"RUNNER_OS": "Windows"})
    assert (done.returncode, done.stdout) == (2, "::error::benchbias runs on Linux and macOS alone\n")


TRACED = """
import sys
from benchbias.cli import main
sys.argv = ["benchbias", *sys.argv[1:]]
try:
    main()
finally:
    print("LOADED", sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def test_what_it_installs_is_enough_for_a_table(job):
    """The packages that an audit of a table imports are those that the action installs, and what these bring."""
    folder, _ = job
    installed = set(re.search(r"install --quiet (numpy [a-z ]+)\n", STEPS["Install benchbias"]["run"])[1].split())
    brought = {
        "benchbias",
        "benchbias_plugins",
        "pydantic_core",
        "typing_extensions",
        "annotated_types",
        "typing_inspection",
    }
    brought |= {"click", "shellingham", "pygments", "markdown_it", "mdurl", "annotated_doc"}
    brought |= {"charset_normalizer"}  # numpy.f2py takes it where something else has installed it
    command = ["audit", "answers.csv", "--label", "y", "--dense", "dense", "--compressed", "int8", "--attribute", "sex"]
    command += ["--json", "a.json", "--markdown", "a.md", "--html", "a.html", "--flips", "f.csv"]
    done = subprocess.run([sys.executable, "-c", TRACED, *command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    loaded = set(ast.literal_eval(done.stderr.partition("LOADED ")[2].splitlines()[0]))
    loaded = {name for name in loaded if not name.startswith("_")} - set(sys.stdlib_module_names) - {"cython_runtime"}
    assert loaded - installed - brought == set()
