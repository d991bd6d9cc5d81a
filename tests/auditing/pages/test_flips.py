"""Lists of changed answers are complete, ordered, safe in a spreadsheet; galleries are bounded, whatever a file is."""

from __future__ import annotations

import base64
import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchbias.auditing.pages import flips, gallery
from benchbias.auditing.values import Answers, Column, Options
from support import sample_audits as samples

N = 400


def answers(seed: int = 0, **changed) -> Answers:
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 3, N)
    dense = np.where(draw.random(N) < 0.9, label, draw.integers(0, 3, N))
    models = {name: np.where(draw.random(N) < 0.8, dense, draw.integers(0, 3, N)) for name in ("int8", "pruned")}
    sex = draw.integers(-1, 2, N)
    found = Answers(("cat", "dog", "=emu"), label, dense, models, {"sex": Column(sex, ("@f", "m"))})
    return replace(found, **changed)


def audit_of(some: Answers, harmed=("sex=m",), options=Options()):  # noqa: B008
    models = []
    for name in some.compressed:
        lines = [samples.line(group, 60, 20, 1, parts=(("sex", group[4:]),)) for group in harmed]
        first = samples.passing().models[0]
        models.append(replace(first, name=name, lines=(first.lines[0], *lines)))
    return samples.audit(*models, options=options)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_changed_answer_is_listed_once_and_no_other():
    some = answers()
    rows = rows_of(flips.flips_table(some, audit_of(some)))
    changed = np.any([codes != some.dense for codes in some.compressed.values()], axis=0)
    assert [int(row["id"]) - 1 for row in rows] == list(changed.nonzero()[0])
    for name, codes in some.compressed.items():
        count = {kind: sum(row[f"change by {name}"] == kind for row in rows) for kind in ("lost", "gained", "changed")}
        right, still, moved = some.dense == some.label, codes == some.label, codes != some.dense
        assert count == {
            "lost": (right & ~still).sum(),
            "gained": (~right & still).sum(),
            "changed": (~right & ~still & moved).sum(),
        }


def test_rows_of_several_runs_are_told_apart():
    some = answers()
    plain, numbered = (flips.flips_table(some, audit_of(some), run) for run in (None, "2"))
    rows = list(csv.reader(io.StringIO(numbered)))
    assert [row[0] for row in rows] == ["run", *["2"] * (len(rows) - 1)]
    assert [row[1:] for row in rows] == list(csv.reader(io.StringIO(plain)))


def test_a_row_names_its_groups_and_those_that_are_harmed():
    some = answers()
    for row in rows_of(flips.flips_table(some, audit_of(some))):
        at = int(row["id"]) - 1
        sex = ("@f", "m")[some.attributes["sex"].codes[at]] if some.attributes["sex"].codes[at] >= 0 else "(missing)"
        label = some.classes[some.label[at]]
        names = row["groups"].split("; ")
        assert names == [f"label={label}", f"sex={sex}", f"label={label} & sex={sex}"]
        assert row["harmed groups"] == ("sex=m" if sex == "m" else "")


def test_rare_values_are_in_the_group_of_others():
    some = answers()
    rare = Column(np.where(np.arange(N) < 5, 2, some.attributes["sex"].codes), ("@f", "m", "rare"))
    some = replace(some, attributes={"sex": rare})
    rows = rows_of(flips.flips_table(some, audit_of(some, options=Options(pool=20))))
    assert rows
    assert all(("sex=(other)" in row["groups"].split("; ")) == (row["sex"] == "rare") for row in rows)


def test_rows_stand_in_the_order_of_ids_whatever_the_order_of_examples():
    some = answers(ids=tuple(f"img{at:03}" for at in np.random.default_rng(1).permutation(N)))
    order = np.random.default_rng(2).permutation(N)
    other = Answers(
        some.classes,
        some.label[order],
        some.dense[order],
        {name: codes[order] for name, codes in some.compressed.items()},
        {"sex": Column(some.attributes["sex"].codes[order], ("@f", "m"))},
        ids=tuple(some.ids[at] for at in order),
    )
    assert flips.flips_table(some, audit_of(some)) == flips.flips_table(other, audit_of(other))
    ids = [row["id"] for row in rows_of(flips.flips_table(some, audit_of(some)))]
    assert ids == sorted(ids)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_run_as_a_formula(start: str):
    bad = f"{start}cmd|' /C calc'!A0"
    some = answers(
        classes=("cat", "dog", bad), ids=(bad,) * N, dense_name=bad, attributes={bad: Column(np.zeros(N, int), (bad,))}
    )
    rows = list(csv.reader(io.StringIO(flips.flips_table(some, audit_of(some, ())))))
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    assert "'" + bad.replace("\r", "\n") in cells
    assert len(rows) == 1 + len(rows_of(flips.flips_table(answers(), audit_of(answers(), ()))))


def test_labels_that_are_not_known_have_no_name():
    some = answers()
    same = np.all([codes == some.dense for codes in some.compressed.values()], axis=0)
    label = np.where(same, -1, some.label)
    rows = rows_of(flips.flips_table(replace(some, label=label), audit_of(some)))
    assert len(rows) == (~same).sum()
    assert all(row["label"] for row in rows)
    assert all("label=" not in row["groups"] for row in rows), "labels are no groups where not all are known"


@pytest.fixture
def pictures(tmp_path):
    files = []
    for at in range(N):
        path = tmp_path / f"{at}.png"
        if at < 4:
            Image.new("RGBA", (300, 40 + at), (at, 0, 0, 100)).save(path)
        files.append(str(path))
    (tmp_path / "4.png").write_bytes(b"no picture")
    (tmp_path / "5.png").mkdir()
    return tuple(files)


def test_an_album_has_the_lost_examples_of_harmed_groups_each_once(pictures):
    some = answers(images=pictures)
    audit = audit_of(some, ("sex=m", "sex=@f"))
    albums = gallery.gathered(some, audit)
    assert {album.group for album in albums} == {"sex=m", "sex=@f"}
    for album in albums:
        code = ("@f", "m").index(album.group[4:])
        codes = some.compressed[album.model]
        lost = (some.dense == some.label) & (codes != some.label) & (some.attributes["sex"].codes == code)
        assert album.number == lost.sum()
        assert len(album.lost) == min(lost.sum(), gallery.MOST_OF_GROUP)
        assert {int(one.id) - 1 for one in album.lost} <= set(lost.nonzero()[0])
    assert all(
        one.picture is None or one.picture.startswith("data:image/jpeg;base64,") for a in albums for one in a.lost
    )


def test_an_example_of_two_harmed_groups_is_shown_once():
    some = answers()
    albums = gallery.gathered(some, audit_of(some, ("label=cat & sex=m", "sex=m")))
    for model in some.compressed:
        ids = [one.id for album in albums if album.model == model for one in album.lost]
        assert len(ids) == len(set(ids))
        numbers = {album.group: album.number for album in albums if album.model == model}
        assert numbers["sex=m"] > numbers["label=cat & sex=m"] > 0, "the number counts those shown elsewhere too"


def test_where_nothing_is_harmed_the_lost_of_all_are_shown():
    some = answers()
    albums = gallery.gathered(some, audit_of(some, ()))
    assert [album.group for album in albums] == ["all", "all"]
    assert (
        gallery.gathered(
            replace(some, compressed={"same": some.dense}), audit_of(replace(some, compressed={"same": some.dense}), ())
        )
        == ()
    )


def test_pictures_are_small_and_what_is_none_is_left_out(pictures, tmp_path):
    uri = gallery.thumbnail(tmp_path / "0.png")
    opened = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert max(opened.size) == gallery.SIDE
    Image.new("L", (8, 4)).save(tmp_path / "tiny.png")
    tiny = Image.open(io.BytesIO(base64.b64decode(gallery.thumbnail(tmp_path / "tiny.png").partition(",")[2])))
    assert tiny.size == (112, 56), "a tiny picture is enlarged"
    assert [gallery.thumbnail(tmp_path / name) for name in ("4.png", "5.png", "none.png")] == [None] * 3


def test_a_gallery_is_bounded(pictures, monkeypatch):
    some = answers(images=(pictures[0],) * N)
    audit = audit_of(some, ())
    shown = [one for album in gallery.gathered(some, audit) for one in album.lost]
    size = len(shown[0].picture)
    monkeypatch.setattr(gallery._Space, "__init__", lambda self: self.__dict__.update(pictures=5, size=10 * size))
    assert sum(one.picture is not None for a in gallery.gathered(some, audit) for one in a.lost) == 5
    monkeypatch.setattr(gallery._Space, "__init__", lambda self: self.__dict__.update(pictures=50, size=3 * size + 1))
    found = [one for album in gallery.gathered(some, audit) for one in album.lost]
    assert sum(one.picture is not None for one in found) == 3
    assert len(found) == len(shown), "an example without room for its picture is still named"
