"""A site replaces the files of the last one in its folder: nothing else of the user's is changed, whatever fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchbias.errors import StorageError, UsageError
from benchbias.site.putting import BEFORE, MARK, NEXT, folder_for, put


def site(folder: Path, *places: str, text: str = "new") -> Path:
    for place in (*places, ".nojekyll"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    return folder


def there(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A site with files of its user's."""
    put(site(tmp_path / "one", "index.html", "old/page.html", "shared/a.html", text="old"), tmp_path / "out")
    site(tmp_path / "out", ".git/config", "CNAME", "shared/mine.txt", text="mine")
    return tmp_path / "out"


def test_only_the_files_of_the_last_site_go(out: Path, tmp_path: Path):
    put(site(tmp_path / "two", "index.html", "shared/b.html"), folder_for(out))
    own = {".git/config", "CNAME", "shared/mine.txt"}
    assert there(out) == {*own, MARK, ".nojekyll", "index.html", "shared/b.html"}
    assert all((out / place).read_text() == "mine" for place in own)
    assert (out / "index.html").read_text() == "new"
    assert not (out / "old").exists()


def test_a_file_of_the_users_in_the_way_is_kept_and_nothing_changes(out: Path, tmp_path: Path):
    (out / "folder").symlink_to(tmp_path)
    before = there(out)
    for place in ("CNAME", "shared/mine.txt", "folder/x.html", "CNAME/x.html", "shared", ".git/config"):
        with pytest.raises(UsageError, match=r"is in the way"):
            put(site(tmp_path / f"new-{place.replace('/', '-')}", place), out)
    assert there(out) == before
    assert (out / "index.html").read_text() == "old"


@pytest.mark.parametrize("place", ["../mine", "/tmp/mine", "a/../../mine", "", "a//b", ".git/config", "a/.", "\0", 3])
def test_a_list_that_names_anything_else_than_files_of_a_site_is_refused(out: Path, tmp_path: Path, place: object):
    (tmp_path / "mine").write_text("mine")
    (out / MARK).write_text(json.dumps({"files": [place]}))
    with pytest.raises(UsageError, match=r"\.benchbias-site: is damaged"):
        folder_for(out)
    with pytest.raises(UsageError):
        put(site(tmp_path / "two", "new.html"), out)
    assert (tmp_path / "mine").is_file()
    assert not (out / "new.html").exists()


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b'{"files": {}}', b"[" * 90_000])
def test_a_damaged_list_is_one_line(out: Path, text: bytes):
    (out / MARK).write_bytes(text)
    with pytest.raises(UsageError, match="is damaged"):
        folder_for(out)


def test_nothing_behind_a_link_is_removed(out: Path, tmp_path: Path):
    site(tmp_path / "elsewhere", "page.html", text="mine")
    (out / "old/page.html").unlink()
    (out / "old").rmdir()
    (out / "old").symlink_to(tmp_path / "elsewhere")
    (out / "shared/a.html").unlink()
    (out / "shared/a.html").symlink_to(tmp_path / "elsewhere/page.html")
    put(site(tmp_path / "two", "index.html"), out)
    assert (tmp_path / "elsewhere/page.html").read_text() == "mine"
    assert (out / "old").is_symlink()


def test_a_site_without_a_list_is_written_over_and_nothing_is_removed(out: Path, tmp_path: Path):
    (out / MARK).write_bytes(BEFORE)
    put(site(tmp_path / "two", "index.html"), folder_for(out))
    assert {"old/page.html", "CNAME"} <= there(out)
    assert json.loads((out / MARK).read_text())["files"] == [".nojekyll", "index.html"]


def test_a_link_to_a_site_is_followed_and_links_in_a_circle_are_refused(out: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(out)
    assert folder_for(tmp_path / "link") == out.resolve()
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UsageError, match="--out"):
        folder_for(tmp_path / "a")


def test_a_build_that_fails_leaves_the_old_site_and_no_copy(out: Path, tmp_path: Path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = there(out)
    monkeypatch.setattr("benchbias.site.putting.shutil.copytree", full)
    with pytest.raises(StorageError, match="No space left"):
        put(site(tmp_path / "two", "index.html"), out)
    assert there(out) == before
    assert (out / "index.html").read_text() == "old"


def test_what_is_left_by_a_build_that_was_killed_goes_with_the_next(out: Path, tmp_path: Path):
    site(out / NEXT, "half.html")
    put(site(tmp_path / "two", "index.html"), out)
    assert not (out / NEXT).exists()


def test_a_build_that_is_ended_in_between_is_mended_by_the_next(out: Path, tmp_path: Path, monkeypatch):
    second = site(tmp_path / "two", "a.html", "index.html", "z.html")
    move = Path.replace

    def ended(path: Path, target: Path) -> Path:
        if path.name == "index.html":
            raise KeyboardInterrupt
        return move(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", ended)
        with pytest.raises(KeyboardInterrupt):
            put(second, out)
    assert (out / "index.html").read_text() == "old"
    assert (out / "CNAME").read_text() == "mine"
    put(site(tmp_path / "three", "index.html"), folder_for(out))
    assert there(out) == {".git/config", "CNAME", "shared/mine.txt", MARK, ".nojekyll", "index.html"}
