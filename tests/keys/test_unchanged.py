"""A stage is refused where its key names other sources or packages than those that lie here now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchbias.keys import sources, unchanged
from benchbias.keys.environment import describe_environment
from benchbias.keys.sources import SOURCES, core_digest, reading_digest, source_files
from benchbias.keys.stamps import SETTLED_SECONDS, Kept
from benchbias.keys.unchanged import first_refusal, refusal
from benchbias.util import packages
from benchbias.util.packages import version_now, version_of


def inputs(kind: str = "train", **more: Any) -> dict[str, Any]:
    environment = {**dict(describe_environment("cpu")), "numpy": version_of("numpy")}
    return {"kind": kind, "sources": {"core": core_digest(kind), "plugins": []}, "environment": environment, **more}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The core's sources in another place, which may be edited."""
    core = tmp_path / "benchbias"
    for file in sources.CORE.rglob("*.py"):
        target = core / file.relative_to(sources.CORE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    monkeypatch.setattr(sources, "CORE", core)
    return core


@pytest.mark.parametrize("kind", SOURCES)
def test_what_was_planned_a_moment_ago_may_run(kind: str):
    assert refusal(inputs(kind)) is None


@pytest.mark.parametrize("kind", SOURCES)
def test_any_edit_of_any_source_of_a_kind_refuses_it_and_a_revert_allows_it(copy: Path, kind: str):
    given = inputs(kind)
    assert refusal(given) is None
    for file in source_files(SOURCES[kind]):
        text = file.read_bytes()
        file.write_bytes(text + b"#")
        assert refusal(given) == "benchbias was changed while this run was going on; run again", file
        file.write_bytes(text)
    assert refusal(given) is None
    file.unlink()  # as in the middle of an upgrade
    assert "was changed" in str(refusal(given))


def test_what_reads_raw_files_counts_where_some_are_read(copy: Path):
    read = inputs("data")
    read["sources"]["reading"] = reading_digest()
    file = source_files(sources.READING)[0]
    file.write_text(file.read_text() + "#")
    assert refusal(inputs("data")) is None
    assert "benchbias was changed" in str(refusal(read))


@pytest.mark.parametrize("name", ["torch", "numpy", "safetensors", "timm"])
def test_another_version_of_a_package_refuses_and_says_which(name: str):
    given = inputs()
    there = given["environment"].get(name) or given["environment"]["packages"][name]
    if name in ("torch", "numpy"):
        given["environment"][name] = "0.0.0"
    else:
        given["environment"]["packages"] = {**given["environment"]["packages"], name: "0.0.0"}
    assert refusal(given) == f"{name} was changed from 0.0.0 to {there} while this run was going on; run again"


def test_a_version_is_looked_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As when a package is upgraded while a run goes on; and when it is installed, or removed."""
    monkeypatch.syspath_prepend(tmp_path)
    metadata = tmp_path / "madeup-1.0.dist-info" / "METADATA"
    assert version_now("madeup") == "absent"
    metadata.parent.mkdir()
    for version in ("1.0", "1.1"):
        metadata.write_text(f"Metadata-Version: 2.1\nName: madeup\nVersion: {version}\n")
        assert version_now("madeup") == version
    metadata.write_bytes(b"Name: madeup\nVersion: \xff\xfe\n")
    with monkeypatch.context() as patched:
        patched.setattr(packages, "version_of", lambda package: "as it was at first")
        assert version_now("madeup") == "as it was at first"
    metadata.unlink()
    metadata.parent.rmdir()
    assert version_now("madeup") == "absent"
    packages._installed.cache_clear()


def test_many_stages_are_asked_for_once(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    real = unchanged.refusal
    monkeypatch.setattr(unchanged, "refusal", lambda given, kept: asked.append(given["kind"]) or real(given))
    stages = [{**inputs(kind), "seed": seed} for kind in ("train", "score") for seed in range(5)]
    assert first_refusal(stages) is None
    assert sorted(asked) == ["score", "train"]
    other = inputs("prune")
    other["sources"]["core"] = "0" * 64
    assert "benchbias was changed" in str(first_refusal([*stages, other]))


def settled() -> tuple[Kept, list[float]]:
    now = [0.0]
    return Kept(lambda: now[0]), now


@pytest.mark.parametrize("kind", ["train", "score", "analyse"])
def test_sources_that_lie_there_untouched_are_read_no_more_and_any_edit_is_seen(
    copy: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    given, (kept, now) = inputs(kind), settled()
    assert refusal(given, kept) is None
    now[0] += SETTLED_SECONDS
    assert refusal(given, kept) is None
    with monkeypatch.context() as patched:
        for name in ("digest_now", "version_now"):
            patched.setattr(unchanged, name, lambda *_: pytest.fail("it was read again"))
        assert refusal(given, kept) is None
    for file in source_files(SOURCES[kind]):
        text = file.read_bytes()
        file.write_bytes(text[:-1] + b"#")
        assert refusal(given, kept) == "benchbias was changed while this run was going on; run again", file
        file.write_bytes(text)
        assert refusal(given, kept) is None
    (file.parent / "another.py").write_text("")
    assert refusal(given, kept) == refusal(given)
    file.unlink()
    assert "was changed" in str(refusal(given, kept))


def test_another_version_of_a_package_is_seen_though_versions_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    metadata = tmp_path / "madeup-1.0.dist-info" / "METADATA"
    given, (kept, now) = inputs(), settled()
    given["environment"]["madeup"] = "1.0"
    assert str(refusal(given, kept)).startswith("madeup was changed from 1.0 to absent")
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: madeup\nVersion: 1.0\n")
    for _ in range(3):
        assert refusal(given, kept) is None
        now[0] += SETTLED_SECONDS
    metadata.write_text("Metadata-Version: 2.1\nName: madeup\nVersion: 2.0\n")
    assert str(refusal(given, kept)).startswith("madeup was changed from 1.0 to 2.0")
    packages._installed.cache_clear()
