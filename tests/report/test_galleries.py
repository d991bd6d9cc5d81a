"""The gallery of a suite: its images are the data set's, and one sentence says why there are none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchbias.errors import DataError, UsageError
from benchbias.report.gathering.source import Source
from benchbias.report.images.counted_pies import counted_pies
from benchbias.report.images.gallery import MOST_IMAGES, gather_gallery
from benchbias.runner.publishing import published_analyses
from support import LEADERBOARD
from support.made_galleries import GROUPS, TASK, illustrated_source


def told(source: Source) -> dict:
    (task,) = gather_gallery(source)["tasks"]
    return task


def without(source: Source, **body: object) -> Source:
    """The source without analyses, each record's body changed."""
    records = [replace(one, body={**one.body, **body}) for one in source.records]
    return replace(source, analyses=(), records=records)


def test_each_image_of_a_gallery_and_a_sheet_is_a_picture_of_the_page_and_no_other_is():
    gallery = gather_gallery(illustrated_source())
    (task,) = gallery["tasks"]
    (one,) = task["galleries"]
    assert (one["by"], one["total"], len(one["items"]), task["said"]) == ("table", 60, 60, None)
    used = {item["picture"] for item in one["items"]}
    used |= {picture for sheet in task["sheet"] for row in sheet["rows"] for _, picture in row["tiles"]}
    assert used == gallery["pictures"].keys()
    assert len({item["image"] for item in one["items"]}) <= MOST_IMAGES
    assert task["groups"] == list(GROUPS)
    test = illustrated_source().data(TASK).splits["test"]
    for item in one["items"]:
        assert (item["label"], item["group"]) == (test.labels[item["image"]], test.groups[item["image"]])


def test_a_table_of_pies_of_other_images_is_refused_in_a_sentence():
    source = illustrated_source()
    body = dict(source.analyses[-1].body)
    columns = [dict(column) for column in body["table"]["columns"]]
    labels = next(column for column in columns if column["name"] == "label")
    labels["values"] = [str(1 - int(one)) for one in labels["values"]]
    changed = replace(source.analyses[-1], body={**body, "table": {**body["table"], "columns": columns}})
    task = told(replace(source, analyses=[changed]))
    assert task["galleries"] == []
    assert "not the one that the analysis saw" in task["said"]


def test_one_sentence_says_why_no_image_is_shown():
    source = illustrated_source()
    none = {
        "no row of this task has a control": without(source, baseline=None),
        "has one model alone": without(illustrated_source(seeds=1)),
        "do not say which label": replace(without(source), published=True),
        "`benchbias report probe`": replace(without(source), published=True),
        "no image is known": replace(without(source), published=False),
    }
    for words, one in none.items():
        task = told(one)
        assert task["galleries"] == []
        assert words in task["said"].lower() or words in task["said"]
        assert task["said"].count(". ") == 0, "more than one sentence"


@pytest.mark.parametrize(
    "error", [DataError("mnist is not here: `benchbias prepare -t toy` fetches it"), UsageError("no")]
)
def test_data_that_cannot_be_had_is_a_sentence_and_the_labels_of_a_table_stand(error: Exception):
    class Bare(Source):
        def data(self, task: str):
            raise error

    source = illustrated_source()
    task = told(Bare("probe", source.records, source.layouts, source.analyses))
    assert str(error) in task["said"]
    assert task["sheet"] == []
    (one,) = task["galleries"]
    assert {item["picture"] for item in one["items"]} == {None}
    assert {item["label"] for item in one["items"]} <= {0, 1}


def test_images_may_be_left_out():
    """A real source: nothing of its data set is built."""
    source = illustrated_source()
    bare = Source("probe", source.records, source.layouts, source.analyses, images=False)
    gallery = gather_gallery(bare)
    assert gallery["pictures"] == {}
    assert "--no-images" in gallery["tasks"][0]["said"]
    assert gallery["tasks"][0]["galleries"]


def test_beside_a_gallery_stands_how_many_pies_an_analysis_of_the_suite_counted():
    """Of all models, of this row and its control: not of halves, of another control, or of another task."""
    analyses = published_analyses("pruning-mnist", LEADERBOARD)
    counted = counted_pies(Source("pruning-mnist", [], {}, analyses, LEADERBOARD, True), "mnist-5000")
    assert {key: one["pies"] for key, one in counted.items()} == {
        ("magnitude[sparsity=0.75]", "erm-ft"): 64,
        ("magnitude[sparsity=0.9]", "erm-ft"): 134,
        ("magnitude[sparsity=0.98]", "erm-ft"): 625,
        ("undecayed[sparsity=0.9]", "erm-ft"): 222,
        ("undecayed[sparsity=0.98]", "erm-ft"): 983,
        ("dense-stopped[epochs=1]", "erm-ft"): 919,
    }
    assert {one["analysis"] for one in counted.values()} == {"pie_counts"}
    assert counted_pies(Source("pruning-mnist", [], {}, analyses, LEADERBOARD, True), "another") == {}
    assert told(illustrated_source())["galleries"][0]["counted"] is None
