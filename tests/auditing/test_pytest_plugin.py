"""The audit as a test: what fails, with which message; a fixture that pytest finds; an import that costs nothing."""

from __future__ import annotations

import ast
import dataclasses
import os
import subprocess
import sys
import tomllib
import warnings

import pytest

from benchbias.auditing.entry import pytest_plugin
from benchbias.auditing.entry.pytest_plugin import SubgroupHarmWarning, assert_no_subgroup_harm
from benchbias.auditing.entry.report import AuditReport
from benchbias.errors import UsageError
from support import ROOT
from support import sample_audits as samples

MODULE = "benchbias.auditing.entry.pytest_plugin"


def report(audit):
    return AuditReport(audit, ())


def undecided():
    return report(samples.audit(dataclasses.replace(samples.passing().models[0], verdict="undecided")))


def test_harm_fails_with_the_table_of_the_groups():
    with pytest.raises(AssertionError) as caught:
        assert_no_subgroup_harm(report(samples.audit()))
    message = str(caught.value)
    assert message.startswith("HARMED, beyond the margin  int8 against dense")
    assert "male & blond" in message
    assert "exit 3" in message.splitlines()[0]


def test_a_pass_gives_the_audit():
    audit = report(samples.passing())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert assert_no_subgroup_harm(audit) is audit


def test_an_undecided_audit_fails_warns_or_passes_as_asked():
    with pytest.raises(AssertionError, match=r"UNDECIDED .*exit 5"):
        assert_no_subgroup_harm(undecided())
    with pytest.raises(AssertionError, match="exit 3"):
        assert_no_subgroup_harm(undecided(), fail_if="undecided")
    with pytest.warns(SubgroupHarmWarning, match="too little is known"):
        assert_no_subgroup_harm(undecided(), undecided="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_no_subgroup_harm(undecided(), undecided="pass")
    with pytest.raises(UsageError, match="unknown choice"):
        assert_no_subgroup_harm(undecided(), undecided="never")


def answers(lost: int):
    """300 examples of two sexes that both models have right, of which men lose some."""
    label = ["cat", "dog"] * 150
    sex = ["f", "m", "m"] * 100
    men = [at for at in range(300) if sex[at] == "m"][:lost]
    compressed = [{"cat": "dog", "dog": "cat"}[name] if at in men else name for at, name in enumerate(label)]
    return {"label": label, "dense": label, "compressed": compressed, "attributes": {"sex": sex}}


def test_arguments_are_those_of_an_audit():
    found = assert_no_subgroup_harm(**answers(1), margin=6.0, label_groups=False)
    assert found.verdict == "pass"
    with pytest.raises(AssertionError, match=r"HARMED(.|\n)*sex=m"):
        assert_no_subgroup_harm(**answers(40), margin=6.0)
    for wrong in ({}, {"report": found, "label": [0]}):
        with pytest.raises(TypeError, match="and not both"):
            assert_no_subgroup_harm(**wrong)


TEST = """
from benchbias.auditing.entry.report import AuditReport
from support import sample_audits as samples

def test_harm(assert_no_subgroup_harm):
    assert_no_subgroup_harm(AuditReport(samples.audit(), ()))

def test_pass(assert_no_subgroup_harm):
    assert_no_subgroup_harm(AuditReport(samples.passing(), ()))
"""


def test_the_fixture_fails_a_test_with_the_table_alone(tmp_path):
    (tmp_path / "test_mine.py").write_text(TEST)
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT / "tests")}
    command = [sys.executable, "-m", "pytest", "-p", MODULE, "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "E       AssertionError: HARMED, beyond the margin  int8 against dense" in done.stdout
    assert "pytest_plugin.py" not in done.stdout, "the frames of benchbias are hidden"


def test_pytest_is_told_where_the_fixture_is():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"benchbias": pytest_plugin.__name__}


def test_the_plugin_imports_nothing():
    code = f"import sys; before = set(sys.modules); import {MODULE}; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in ast.literal_eval(done.stdout)}
    assert loaded - set(sys.stdlib_module_names) == {"benchbias"}
