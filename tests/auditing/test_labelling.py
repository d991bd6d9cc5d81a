"""Labels of the changed answers alone give the lost and gained examples that all labels give."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchbias.auditing.before.labelling import (
    changed,
    check_flips,
    churn_bounds,
    is_labelled,
    needs_label_groups,
    read_sheet,
    to_label,
    write_sheet,
)
from benchbias.auditing.groups import grouping_of
from benchbias.auditing.statistics.bounds import harm_bounds
from benchbias.auditing.tables.from_arrays import from_arrays
from benchbias.auditing.values import Answers, Column, Options
from benchbias.errors import BenchbiasError

N = 400
NAMES = np.array(["cat", "dog", "fox", "owl"])


def made(seed: int = 0, **more: Any) -> Answers:
    """Answers of a dense and two compressed models, with all labels; 'owl' is a label that nobody answers."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 4, N)
    dense = np.where(generator.random(N) < 0.8, label, generator.integers(0, 3, N)) % 3
    models = {
        name: np.where(generator.random(N) < 0.1, generator.integers(0, 3, N), dense) for name in ("int4", "int8")
    }
    options = {"identity": [f"image {k:03d}" for k in range(N)], "attributes": {"sex": generator.choice(["f", "m"], N)}}
    answers = {name: NAMES[codes] for name, codes in models.items()}
    return from_arrays(NAMES[label], NAMES[dense], answers, **(options | more))


def without_labels(answers: Answers) -> Answers:
    return from_arrays(
        [None] * N,
        [answers.classes[code] for code in answers.dense],
        {name: [answers.classes[code] for code in codes] for name, codes in answers.compressed.items()},
        {"sex": [answers.attributes["sex"].names[code] for code in answers.attributes["sex"].codes]},
        identity=answers.ids,
        unlabelled=True,
    )


def fill(path: Path, answers: Answers, *, skip: int = 0) -> None:
    """Write the true labels of a sheet, but for some of its rows."""
    assert answers.ids is not None
    true = {one: answers.classes[code] for one, code in zip(answers.ids, answers.label, strict=True)}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "image", "answers", "label"])
        writer.writeheader()
        writer.writerows(row | {"label": true[row["id"]] if at >= skip else ""} for at, row in enumerate(rows))


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_the_changed_answers_give_all_lost_and_gained_examples(seed: int, tmp_path: Path):
    whole = made(seed)
    bare = without_labels(whole)
    assert not is_labelled(bare)
    assert is_labelled(whole)
    count = write_sheet(bare, tmp_path / "sheet.csv")
    assert count == changed(whole).sum() < N / 3
    fill(tmp_path / "sheet.csv", whole)
    found = read_sheet(bare, tmp_path / "sheet.csv", ["new-labels"])
    assert found.notes[-1].startswith("Allowed: ")
    assert "owl" in found.classes
    for name in whole.compressed:
        harm = [(a.dense == a.label).astype(int) - (a.compressed[name] == a.label) for a in (whole, found)]
        assert (harm[0] == harm[1]).all()
    known = found.label >= 0
    assert (known == changed(whole)).all()
    assert [found.classes[code] for code in found.label[known]] == [whole.classes[code] for code in whole.label[known]]


def test_a_sheet_tells_no_model_and_is_the_same_in_any_order_of_rows(tmp_path: Path):
    whole = made()
    bare = without_labels(whole)
    order = np.random.default_rng(1).permutation(N)
    assert bare.ids is not None
    moved = replace(
        bare,
        label=bare.label[order],
        dense=bare.dense[order],
        compressed={name: codes[order] for name, codes in bare.compressed.items()},
        ids=tuple(bare.ids[at] for at in order),
    )
    assert to_label(moved) == to_label(bare)
    for one in to_label(bare):
        assert list(one.answers) == sorted(set(one.answers))
        assert len(one.answers) > 1
    assert to_label(whole) == ()


def test_a_sheet_that_is_there_is_never_overwritten(tmp_path: Path):
    (tmp_path / "sheet.csv").write_text("labels of a week")
    with pytest.raises(BenchbiasError, match="is there already, perhaps with labels"):
        write_sheet(made(), tmp_path / "sheet.csv")
    with pytest.raises(BenchbiasError, match="cannot be written"):
        write_sheet(made(), tmp_path / "sheet.csv" / "none" / "sheet.csv")
    assert (tmp_path / "sheet.csv").read_text() == "labels of a week"
    write_sheet(made(), tmp_path / "new" / "folder" / "sheet.csv")
    assert (tmp_path / "new" / "folder" / "sheet.csv").read_text().startswith("id,image,answers,label")


def test_a_label_that_no_model_answers_stops_with_the_nearest_class(tmp_path: Path):
    bare, sheet = without_labels(made()), tmp_path / "sheet.csv"
    sheet.write_text("id,label\nimage 001,dog.\nimage 002,cat\n")
    told = r"no model answers the label 'dog\.' .nearest: 'dog'.: mend .* --allow new-labels"
    with pytest.raises(BenchbiasError, match=told):
        read_sheet(bare, sheet)
    with pytest.raises(BenchbiasError, match="have no label"):
        read_sheet(bare, sheet, ["new-labels"])
    with pytest.raises(BenchbiasError, match="have no label"):
        read_sheet(bare, sheet, known=["dog."])


def test_sheets_that_do_not_fit_stop(tmp_path: Path):
    whole = made()
    bare, sheet = without_labels(whole), tmp_path / "sheet.csv"
    total = write_sheet(bare, sheet)
    fill(sheet, whole, skip=2)
    with pytest.raises(BenchbiasError, match=f"2 of {total} changed answers have no label .image .*: label them"):
        read_sheet(bare, sheet, ["new-labels"])
    sheet.write_text("id,label\nimage 001,cat\nimage 9999,cat\n")
    with pytest.raises(BenchbiasError, match=r"1 ids are none of the table's \(image 9999\)"):
        read_sheet(bare, sheet)
    sheet.write_text("id,label\nimage 001,cat\nimage 001,dog\n")
    with pytest.raises(BenchbiasError, match="the id 'image 001' stands twice"):
        read_sheet(bare, sheet)
    code = whole.classes[whole.label[1]]
    other = next(name for name in whole.classes if name != code)
    sheet.write_text(f"id,label\nimage 001,{other}\n")
    with pytest.raises(BenchbiasError, match=f"the label of 'image 001' is '{code}' in the table and '{other}'"):
        read_sheet(whole, sheet)
    for use in (lambda: to_label(replace(bare, ids=None)), lambda: read_sheet(replace(bare, ids=None), sheet)):
        with pytest.raises(BenchbiasError, match="--id COLUMN"):
            use()


def test_an_empty_cell_of_a_sheet_takes_no_label_away(tmp_path: Path):
    whole = made()
    (tmp_path / "sheet.csv").write_text("id,label\nimage 001,\nimage 002,\n")
    assert (read_sheet(whole, tmp_path / "sheet.csv").label == whole.label).all()


def test_labels_in_the_table_itself_are_enough_where_all_changed_answers_have_one():
    whole = made()
    partly = replace(whole, label=np.where(changed(whole), whole.label, -1))
    check_flips(partly)
    with pytest.raises(BenchbiasError, match=r"1 of .* changed answers have no label"):
        check_flips(replace(partly, label=np.where(np.arange(N) == np.argmax(changed(whole)), -1, partly.label)))


def test_churn_bounds_are_those_of_clopper_and_pearson_and_hold_for_any_labels():
    whole = made()
    found = {(bound.model, bound.group): bound for bound in churn_bounds(without_labels(whole), Options(0.2))}
    assert len(found) == 2 * 3
    for (name, group), bound in found.items():
        member = np.ones(N, bool)
        if group != "all":
            member = whole.attributes["sex"].codes == whole.attributes["sex"].names.index(group.removeprefix("sex="))
        count, n = int((whole.compressed[name] != whole.dense)[member].sum()), int(member.sum())
        assert (bound.changed, bound.n) == (count, n)
        assert bound.upper == pytest.approx(stats.beta.ppf(0.95, count + 1, n - count), abs=1e-6)
        harm = (whole.dense == whole.label).astype(int) - (whole.compressed[name] == whole.label)
        lost, gained = (harm[member] > 0).sum(), (harm[member] < 0).sum()
        assert harm_bounds(lost, gained, n)[1] <= bound.upper + 1e-12
        assert bound.safe == (bound.upper < 0.2)


def test_churn_in_clusters_is_bounded_over_clusters():
    plain = without_labels(made())
    pairs = replace(plain, cluster=np.arange(N) // 4)
    ones = replace(plain, cluster=np.arange(N))
    for wide, one, alone in zip(*(churn_bounds(answers, Options()) for answers in (pairs, ones, plain)), strict=True):
        assert wide.upper > alone.upper
        assert one.upper == pytest.approx(alone.upper, abs=1e-6)


def test_the_groups_of_churn_bounds_are_those_of_the_audit():
    plain = without_labels(made())
    sex, row = plain.attributes["sex"], np.arange(N)
    columns = {
        "sex": Column(np.where(row % 10 == 0, -1, sex.codes), sex.names),
        "age": Column(np.where(row < 3, row, 3 + row % 2), ("a", "b", "c", "d", "e")),
    }
    answers = replace(plain, attributes=columns)
    for options in (Options(), Options(depth=1, pool=5), Options(gate=("sex",)), Options(by_label=False, depth=1)):
        groups = grouping_of(answers, options).groups
        found = [bound for bound in churn_bounds(answers, options) if bound.model == "int8"]
        assert [(one.group, one.n, one.gated) for one in found] == [(one.name, one.n, one.gated) for one in groups]
    names = {bound.group for bound in churn_bounds(answers, Options(pool=5))}
    assert {"sex=(missing)", "age=(other)", "age=d & sex=f"} <= names
    with pytest.raises(BenchbiasError, match="unknown attribute 'ag'"):
        churn_bounds(answers, Options(gate=("ag",)))


def test_labels_that_are_known_make_no_groups_of_churn_bounds():
    assert churn_bounds(made(), Options()) == churn_bounds(without_labels(made()), Options())


def test_a_pass_needs_groups_of_labels_unless_they_are_left_out():
    answers = replace(made(), label_name="kind")
    assert needs_label_groups(answers, Options())
    assert needs_label_groups(answers, Options(gate=("sex", "kind")))
    assert not needs_label_groups(answers, Options(gate=("sex",)))
    assert not needs_label_groups(answers, Options(by_label=False))
