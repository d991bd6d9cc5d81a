"""The data of a task for a report: what cannot be had is one message, and nothing is fetched or left behind."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from benchbias.errors import DataError, UsageError
from benchbias.report.gathering.task_data import task_data
from benchbias.runner.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(quiet=True, data=tmp_path / "data")


def test_raw_files_that_are_not_here_are_named_with_the_command_and_not_fetched(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(DataError, match="benchbias prepare -t mnist-5000") as found:
        task_data(workspace, "pruning-mnist", "mnist-5000", tmp_path / "absent")
    assert str(tmp_path) not in str(found.value), "a path of this machine would stand in the report"
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_whose_package_is_absent_is_told(workspace: Workspace, tmp_path: Path):
    components = dict(workspace.registry.components)
    lacking = replace(components["dataset", "colored_digits"], uses={"no-such-package": "no-such-package>=1"})
    registry = replace(workspace.registry, components={**components, ("dataset", "colored_digits"): lacking})
    with pytest.raises(UsageError, match="no-such-package"):
        task_data(replace(workspace, registry=registry), "smoke", "colored-digits-tiny", tmp_path / "absent")


@pytest.mark.slow
def test_a_data_set_is_built_aside_where_there_is_no_results_folder(workspace: Workspace, tmp_path: Path):
    data = task_data(workspace, "smoke", "colored-digits-tiny", tmp_path / "absent", seed=1, limit=50)
    assert data.seed == 1
    assert {"train", "test"} <= data.splits.keys()
    assert len(data.splits["test"].labels) == 50
    assert not (tmp_path / "absent").exists()
