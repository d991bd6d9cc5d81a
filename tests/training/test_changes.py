"""Answers before and after a modification: signed changes, matched examples, exact intervals."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest

from benchbias import Answers
from benchbias.testing import toy_dataset
from benchbias.training.changes import CONTRAST, MATCHED, change_table, exact_interval, pairs_within
from support.critical_trial import rows_of


def answers(margins, correct, groups, aligned) -> Answers:
    values = torch.tensor(margins, dtype=torch.float64), torch.tensor(correct), torch.tensor(groups)
    return Answers("test", *values, torch.tensor(aligned), ("0/red", "0/green"))


def test_changes_are_signed_by_group_and_so_is_their_difference():
    before = answers([1.0, 1.0, -1.0, -1.0], [True, True, False, False], [0, 0, 1, 1], [True, True, False, False])
    after = answers([2.0, -1.0, 1.0, 1.5], [True, False, True, True], [0, 0, 1, 1], [True, True, False, False])
    found = before.changes(after)
    assert (found["0/red"].points, found["0/green"].points) == (-50, 100)
    assert (found["0/red"].margin, found["0/green"].margin) == (-0.5, 2.25)
    assert (found[CONTRAST].points, found[CONTRAST].margin) == (150, 2.75)
    assert MATCHED not in found, "no aligned example is as certain as a conflicting one"
    table = rows_of(change_table([_compared(found, found)], "c"))
    assert [row["difference"] for row in table] == [0, 0, 0]
    assert table[0]["absolute change"] == 50
    assert table[0]["sensitive"] == 1


def _compared(run, control):
    from benchbias import Compared

    return Compared({"what": "x"}, [run], [control], {})


def test_margins_are_the_true_logit_less_the_largest_other():
    item = toy_dataset().splits["test"]
    logits = torch.randn(len(item.split), 2, generator=torch.Generator().manual_seed(0))
    found = Answers.of(logits, item)
    labels = item.split.labels
    own = logits.double()
    log_odds = own.softmax(1).gather(1, labels[:, None])[:, 0].logit()
    assert torch.allclose(found.margins, log_odds)
    assert torch.equal(found.correct, logits.argmax(1) == labels)


def test_matched_examples_are_equally_certain_and_used_once():
    stream = torch.Generator().manual_seed(1)
    margins = torch.randn(200, generator=stream).double()
    aligned = torch.rand(200, generator=stream) < 0.6
    found = Answers("test", margins, margins > 0, (~aligned).long(), aligned, ("a", "b"))
    one, other = found.twins
    assert len(one) > 50
    assert float((margins[one] - margins[other]).abs().max()) <= 0.25
    assert bool(((margins[one] > 0) == (margins[other] > 0)).all())
    assert not bool(aligned[one].any())
    assert bool(aligned[other].all())
    assert len(set(one.tolist())) == len(one)
    assert len(set(other.tolist())) == len(other)


def test_as_many_pairs_are_made_as_can_be():
    networkx = pytest.importorskip("networkx")
    stream = torch.Generator().manual_seed(2)
    for _ in range(20):
        ones, others = (torch.rand(8, generator=stream).tolist() for _ in range(2))
        graph = networkx.Graph()
        edges = [(("a", i), ("b", j)) for i in range(8) for j in range(8) if abs(ones[i] - others[j]) <= 0.1]
        graph.add_edges_from(edges)
        best = networkx.max_weight_matching(graph, maxcardinality=True)
        assert len(pairs_within(ones, others, 0.1)) == len(best)


@pytest.mark.parametrize(("correct", "total"), [(0, 7), (7, 7), (3, 56), (55, 56), (90, 183)])
def test_intervals_are_exact_binomial_ones(correct, total):
    wanted = binomtest(correct, total).proportion_ci(0.95, "exact")
    assert exact_interval(correct, total) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
