"""docs/performance.md and its measurement: ratios of planted timings, verdicts, tables, parts that fail, samples."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import BENCHMARKS, ROOT

SPEED = BENCHMARKS / "speed"
PAGE = ROOT / "docs/performance.md"


def loaded(name: str):
    """A module of the measurement; none of these imports torch."""
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module(f"benchmarks.speed.{name}")
    finally:
        sys.path.remove(str(ROOT))


timing, rows, page, parts, measure = map(loaded, ("timing", "rows", "page", "parts", "measure"))


class Planted:
    """Calls that take planted seconds of a clock that only they move. slower: a factor for each round."""

    def __init__(self, seconds: dict[str, list[float]], slower: list[float] | None = None) -> None:
        self.now, self.order = 0.0, []
        self.left = {name: list(values) for name, values in seconds.items()}
        self.slower = slower or [1.0] * 100
        self.made = dict.fromkeys(seconds, 0)

    def call(self, name: str):
        def made() -> None:
            self.order.append(name)
            self.now += self.left[name].pop(0) * self.slower[self.made[name]]
            self.made[name] += 1

        return made

    def interleaved(self, rounds: int, **options) -> dict[str, list[float]]:
        return timing.interleaved(
            {name: self.call(name) for name in self.left}, rounds, clock=lambda: self.now, **options
        )


# --- the timings


def test_every_second_round_goes_the_other_way_and_warm_rounds_do_not_count():
    planted = Planted({"a": [9.0, 1.0, 2.0], "b": [9.0, 3.0, 4.0]})
    assert planted.interleaved(2) == {"a": [1.0, 2.0], "b": [3.0, 4.0]}
    assert planted.order == ["b", "a", "a", "b", "b", "a"]


def test_without_a_warm_round_every_call_counts():
    assert Planted({"a": [1.0], "b": [3.0]}).interleaved(1, warm=0) == {"a": [1.0], "b": [3.0]}


def test_a_ratio_is_of_one_round():
    spread = timing.ratios({"a": [1.0, 6.0, 2.0], "b": [2.0, 2.0, 2.0]}, "a", "b")
    assert spread == timing.Spread(1.0, 0.5, 3.0, 3)


def test_a_machine_that_becomes_slower_leaves_the_ratios():
    planted = Planted({"a": [3.0] * 5, "b": [2.0] * 5}, slower=[1.0, 1.0, 2.0, 5.0, 9.0])
    spread = timing.ratios(planted.interleaved(4), "a", "b")
    assert (spread.median, spread.least, spread.most, spread.count) == (1.5, 1.5, 1.5, 4)


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_spread_holds_all_ratios_and_the_median_halves_them(pairs: list[tuple[float, float]]):
    spread = timing.ratios({"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}, "a", "b")
    each = [a / b for a, b in pairs]
    assert (spread.least, spread.most, spread.count) == (min(each), max(each), len(each))
    assert sum(value <= spread.median * (1 + 1e-12) for value in each) * 2 >= len(each)
    assert sum(value >= spread.median * (1 - 1e-12) for value in each) * 2 >= len(each)


def test_what_was_not_measured_has_no_ratio():
    with pytest.raises(ValueError, match="took no time"):
        timing.ratios({"a": [1.0], "b": [0.0]}, "a", "b")
    with pytest.raises(ValueError, match="no value"):
        timing.ratios({"a": [], "b": []}, "a", "b")
    with pytest.raises(ValueError, match="zip"):
        timing.ratios({"a": [1.0, 2.0], "b": [1.0]}, "a", "b")


BURN = "import time\nwhile time.process_time() < 0.2: pass\n"


def test_the_cpu_time_of_a_command_has_that_of_its_children():
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}], check=True)"
    assert timing.used([sys.executable, "-c", code], ROOT).cpu >= 0.2


def test_a_command_that_fails_is_told_with_its_last_line():
    with pytest.raises(RuntimeError, match=r"ended with 3: the end$"):
        timing.used([sys.executable, "-c", "import sys; print('the beginning\\nthe end'); sys.exit(3)"], ROOT)


# --- rows and their verdicts


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        (rows.Goal(1.05), 1.05, "met"),
        (rows.Goal(1.05), 1.0501, "missed"),
        (rows.Goal(1.75, at_least=True), 1.75, "met"),
        (rows.Goal(1.75, at_least=True), 1.7499, "missed"),
        (None, 9.0, ""),
    ],
)
def test_a_verdict_is_computed_from_the_median(goal, value: float, verdict: str):
    assert rows.Row("it", timing.Spread(value, 0.0, 100.0, 3), goal).verdict == verdict


def test_without_a_value_nothing_is_met():
    assert rows.Row("it", goal=rows.Goal(1.0), note="no card is here").verdict == "not measured"


def test_a_row_is_the_same_after_its_file():
    for row in (
        rows.Row("it", timing.Spread(1.0, 0.5, 2.0, 3), rows.Goal(1.0, at_least=True), "s", "why"),
        rows.Row("absent", note="not installed"),
    ):
        assert rows.Row.of_json(json.loads(json.dumps(row.to_json()))) == row


def breaking(error: Exception):
    def made(setting) -> Iterator:
        yield rows.Row("first", timing.Spread.of([1.0]))
        raise error

    return made


def test_a_part_that_cannot_go_on_keeps_its_rows_and_says_why(capsys: pytest.CaptureFixture[str]):
    setting = rows.Setting(1)
    first, absent = measure.measured("Part", breaking(rows.Absent("spuco is not installed")), setting)
    assert (first.what, absent.note, absent.verdict) == ("first", "spuco is not installed", "not measured")
    first, failed = measure.measured("Part", breaking(KeyError("x\ny")), setting)
    assert (first.what, failed.note) == ("first", "failed: KeyError: 'x\\ny'")
    assert "KeyError" in capsys.readouterr().err


def test_a_part_whose_process_dies_is_a_row():
    main = loaded("__main__")
    given_options = main.options(["--quick"])
    (row,) = main.measure(parts.Part("no_such_part", "A part", 1, worker=False), given_options)
    assert (row.what, row.note, row.verdict) == ("A part", "failed: its process ended with 1", "not measured")


# --- the page


def test_the_tables_of_the_page_are_those_of_the_measurements():
    assert page.put_in(PAGE.read_text(), page.block(page.read(SPEED / "measured.json"))) == PAGE.read_text()


def test_every_part_is_a_module_and_stands_in_the_measurements_under_its_name():
    names = [part.name for part in parts.PARTS]
    assert len(set(names)) == len(names)
    assert all((SPEED / f"{name}.py").is_file() for name in names)
    assert set(page.read(SPEED / "measured.json")) <= set(names)


def made_of(*found) -> str:
    return page.block({"startup": page.Measured(found, {"machine": "a machine", "date": "2026-01-01"})})


def test_a_table_has_a_line_a_row_with_median_spread_goal_and_verdict():
    value = timing.Spread(1.0333, 0.98, 1.4, 7)
    text = made_of(
        rows.Row("a ratio", value, rows.Goal(1.05)),
        rows.Row("a time | of two", timing.Spread(12.34, 12.0, 13.0, 3), rows.Goal(10), "s", "slow"),
        rows.Row("a share", timing.Spread(76.0, 75.0, 77.0, 3), rows.Goal(75, at_least=True), "%"),
        rows.Row("absent", note="not\ninstalled"),
        rows.Row("once", timing.Spread.of([0.05])),
    )
    lines = text.splitlines()
    assert [lines[0], lines[-1]] == [page.BEGIN, page.END]
    assert "### Start" in lines
    assert "`--only startup`: machine a machine; date 2026-01-01." in lines
    assert [line for line in lines if line.startswith("| ")][1:] == [
        "| a ratio | 1.033 (0.980 to 1.400, n = 7) | ≤ 1.05 | met |",
        "| a time \\| of two | 12.3 s (12.0 to 13.0, n = 3) | ≤ 10 s | missed; slow |",
        "| a share | 76.0 % (75.0 to 77.0, n = 3) | ≥ 75 % | met |",
        "| absent | – | – | not measured: not installed |",
        "| once | 0.0500 (once) | – |  |",
    ]


def test_only_the_tables_of_the_page_are_replaced():
    text = f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n"
    made = made_of(rows.Row("it", timing.Spread.of([1.0])))
    assert page.put_in(text, made) == f"before\n{made}\nafter\n"
    assert page.put_in(page.put_in(text, made), made) == page.put_in(text, made)
    for broken in ("no marks", f"{page.BEGIN} alone", f"{page.END} {page.BEGIN}"):
        with pytest.raises(ValueError, match="marks"):
            page.put_in(broken, made)


def test_measurements_are_the_same_after_their_file(tmp_path: Path):
    found = {"startup": page.Measured([rows.Row("it", timing.Spread.of([1.0, 2.0]))], {"date": "today"})}
    page.write(tmp_path / "measured.json", found)
    assert page.read(tmp_path / "measured.json") == found
    assert page.read(tmp_path / "absent.json") == {}


def test_the_options_that_the_page_names_are_there(capsys: pytest.CaptureFixture[str]):
    main = loaded("__main__")
    with pytest.raises(SystemExit):
        main.options(["--help"])
    told = capsys.readouterr().out
    before = PAGE.read_text().partition(page.BEGIN)[0]
    named = set(re.findall(r"`(?:python -m benchmarks\.speed )?(--[a-z]+)", before)) | {"--write"}
    assert named >= {"--only", "--quick", "--against", "--rounds"}
    assert all(option in told for option in named)
    assert all(part.name in told for part in parts.PARTS)


@pytest.mark.parametrize("arguments", [["--quick", "--write"], ["--rounds", "0"], ["--only", "nothing"]])
def test_options_that_make_no_sense_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        loaded("__main__").options(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip()


# --- the profile


def frames(*names: str):
    """Frames of these files, the innermost first."""
    made = None
    for name in reversed(names):
        made = SimpleNamespace(f_code=SimpleNamespace(co_filename=name), f_back=made)
    return made


CORE, PLUGINS = "/x/benchbias", "/x/plugins/benchbias_plugins"


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (("/t/torch/nn/functional.py", f"{PLUGINS}/networks/lenet.py", f"{CORE}/stages/train.py"), "forward"),
        ((f"{PLUGINS}/networks/lenet.py", "/t/torch/nn/modules/module.py", f"{CORE}/stages/train.py"), "forward"),
        (("/t/torch/autograd/__init__.py", "/t/torch/_tensor.py", f"{CORE}/training/fit.py"), "backward"),
        (("/t/torch/optim/sgd.py", f"{CORE}/training/fit.py", f"{CORE}/stages/train.py"), "step"),
        ((f"{CORE}/sparse/holding.py", "/t/torch/optim/sgd.py", f"{CORE}/stages/train.py"), "masks, train stage"),
        (("/t/torch/nn/functional.py", f"{CORE}/stages/predict.py"), "forward of a predict stage"),
        (("/p/json/decoder.py", f"{CORE}/store/store.py", f"{CORE}/stages/score.py"), "store.store, score stage"),
        (
            (f"{CORE}/data/augment.py", f"{CORE}/training/fit.py", f"{CORE}/stages/train.py"),
            "data.augment, train stage",
        ),
        ((f"{CORE}/plan/planner.py", f"{CORE}/cli/running.py"), "plan.planner"),
        (("<frozen importlib._bootstrap>", f"{CORE}/stages/data.py"), "imports, data stage"),
        (("/p/runpy.py",), "start of Python"),
    ],
)
def test_a_sample_is_named_by_the_innermost_frame_that_tells_what_it_is(files: tuple[str, ...], name: str):
    sys.path.insert(0, str(SPEED / "sampling"))
    try:
        sampler = importlib.import_module("sitecustomize").Sampler
    finally:
        sys.path.remove(str(SPEED / "sampling"))
        del sys.modules["sitecustomize"]
    assert loaded("profile").named(*sampler(-1).looked_at(frames(*files))) == name


def test_shares_are_of_all_cpu_time_and_what_no_sample_saw_is_said():
    lines = ["1000000\ttrain\tforward\t", "500000\ttrain\tbackward\t", "500000\tscore\t\tstore.store"]
    assert loaded("profile").shared_out(lines, 4.0) == {
        "forward": 25.0,
        "backward": 12.5,
        "store.store, score stage": 12.5,
        "ends of processes, and what no sample saw": 50.0,
    }


def test_a_process_and_what_it_forks_are_sampled_by_their_cpu_time(tmp_path: Path):
    """Most of what is burnt in a file of an optimizer is a step; no process dies of the timer."""
    folder = tmp_path / "torch/optim"
    folder.mkdir(parents=True)
    (folder / "busy.py").write_text("import time\ndef burn(s):\n    while time.process_time() < s: sum(range(1000))\n")
    code = (
        "import os, busy; busy.burn(0.3); pid = os.fork(); busy.burn(0.5 if pid else 0.3); pid and os.wait()\n"
        "last = type('Last', (), {'__del__': lambda self, sum=sum, range=range: sum(range(4_000_000))})()"  # at the end
    )
    path = os.pathsep.join((str(SPEED / "sampling"), str(folder)))
    environment = os.environ | {"PYTHONPATH": path, "SPEED_SAMPLES": str(tmp_path / "samples")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    seen = [line.split("\t") for line in (tmp_path / "samples").read_text().splitlines()]
    assert sum(int(spent) for spent, _, work, _ in seen if work == "step") >= 0.6e6
    assert len(seen) > 20


# --- the whole


def test_a_checkout_is_run_as_if_it_were_installed(tmp_path: Path):
    environment = loaded("checkout").installed(ROOT, tmp_path / "metadata")
    code = (
        "import benchbias; from importlib.metadata import distribution; found = distribution('benchbias'); "
        "print(benchbias.__file__, found.locate_file(''), len(found.entry_points))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    file, metadata, count = done.stdout.split()
    assert (Path(file), Path(metadata)) == (ROOT / "benchbias/__init__.py", tmp_path / "metadata")
    assert int(count) > 40


@pytest.mark.slow
@pytest.mark.parametrize("part", ["training_loop", "mask_updates", "cards"])
def test_every_network_that_is_timed_can_be_made_and_answers(part: str):
    import torch

    module = loaded(part)
    subjects = (module.LENET, module.SIMPLE_CNN) if part == "cards" else (*module.SUBJECTS, *module.QUICK)
    for subject in subjects:
        data = replace(subject, batch=2, steps=1).data()
        assert subject.network()(data.batch(data.train, torch.arange(2)).images).shape == (2, subject.classes)


@pytest.mark.slow
def test_parts_are_tried_out_by_one_command():
    command = [sys.executable, "-m", "benchmarks.speed", "--quick", "--only", "training_loop", "pruning_sweep", "cards"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for told in ("`fit()` over a bare loop, lenet_small 8x8", "over torch's pruning", "On a card"):
        assert told in done.stdout
    assert len(re.findall(r"n = 2\).*\b(?:met|missed)\b", done.stdout)) >= 4


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_the_suite_against_its_own_commit_gives_the_same_board():
    command = [sys.executable, "-m", "benchmarks.speed", "--quick", "--rounds", "1", "--only", "suite"]
    done = subprocess.run([*command, "--against", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "the same board and the same bodies of all records" in done.stdout
    refused = subprocess.run([*command, "--against", "nothing"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "git has no commit 'nothing'" in refused.stdout
