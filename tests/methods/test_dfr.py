"""DFR: what it leaves alone, what its subsamples hold, how C is chosen, and scikit-learn's pipeline as an oracle."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from benchbias import BenchbiasError, GroupLabels, Mask, Skip, Split, TrainContext, TrainingData
from benchbias.suite.tables import Recipe
from benchbias.testing import ToyTrial
from benchbias_plugins.methods.dfr.refit import Examples, Head, Refit, balanced, halves
from benchbias_plugins.methods.dfr.trainer import GRID, dfr

UNITS = 7


def split(name: str, count: int, classes: int) -> Split:
    stream = torch.Generator().manual_seed(count)
    labels = torch.arange(count) % classes
    images = torch.randint(0, 120, (count, 3, 8, 8), generator=stream)
    images[torch.arange(count), labels] += 60  # a brighter channel for each class
    return Split(images.to(torch.uint8), labels, classes, name)


def source(classes: int = 2, val: int = 90) -> TrainingData:
    return TrainingData(split("train", 70, classes), split("val", val, classes), (0.5,) * 3, (1.0,) * 3, 16)


def groups(classes: int = 2, val: int = 90) -> GroupLabels:
    """Of the validation split: a fifth of each class conflicts."""
    labels = torch.arange(val) % classes
    attributes = torch.where(torch.arange(val) // classes % 5 == 4, (labels + 1) % 2, labels % 2)
    return GroupLabels.of(labels, attributes, labels % 2 == attributes, classes, ("red", "green"))


def network(classes: int = 2) -> nn.Module:
    """With batch norm whose statistics are not those of any batch, so that its mode shows."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, UNITS), nn.ReLU()),
        nn.Linear(UNITS, classes),
    )
    with torch.no_grad():
        model[1].running_mean += 0.2
        model[5 - 1].weight[3] = 0  # a unit that never changes
    return model


def context(data: TrainingData, mask: Mask | None = None) -> TrainContext:
    return TrainContext(
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(1),
        recipe=Recipe(),
        data=data,
        order=torch.Generator().manual_seed(2),
        mask=mask,
    )


def refitted(
    classes: int = 2, labels: GroupLabels | None = None, mask: Mask | None = None, **options: Any
) -> nn.Module:
    model, data = network(classes), source(classes)
    dfr(model, data, context(data, mask), labels or groups(classes), **{"subsamples": 4, **options})
    return model


def logits(model: nn.Module, data: TrainingData, split: Split) -> Tensor:
    with torch.no_grad():
        return torch.cat([model.eval()(batch.images) for batch in data.batches(split)])


# what it leaves alone


def test_only_the_head_changes_and_every_module_keeps_its_mode():
    model, data = network().train(), source()
    model[1].eval()  # frozen by somebody
    modes = [part.training for part in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    dfr(model, data, context(data), groups(), subsamples=2)
    assert [part.training for part in model.modules()] == modes
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"6.weight", "6.bias"}


def test_features_are_those_of_eval_mode_and_the_same_twice():
    data, model = source(), network().train()
    asked = context(data)
    one, two = asked.split_features(model, data.val), asked.split_features(model, data.val)
    assert torch.equal(one, two)
    assert model.training
    torch.testing.assert_close(one, logits(model[:-1], data, data.val))
    model.train()
    assert not torch.allclose(one, torch.cat([model[:-1](batch.images) for batch in data.batches(data.val)]), atol=1e-3)


# subsamples and halves


@pytest.mark.parametrize("seed", range(5))
def test_a_subsample_has_the_rarest_kinds_number_of_each_kind_and_no_example_twice(seed: int):
    kinds = np.repeat([0, 1, 3], [11, 4, 25])[np.random.default_rng(seed).permutation(40)]
    stream = torch.Generator().manual_seed(seed)
    one, other = balanced(kinds, stream), balanced(kinds, stream)
    assert np.bincount(kinds[one]).tolist() == [4, 4, 0, 4]
    assert len(set(one.tolist())) == len(one)
    assert set(one.tolist()) != set(other.tolist())
    first, second = halves(kinds, stream)
    assert sorted([*first, *second]) == list(range(40))
    assert np.bincount(kinds[first]).tolist() == [6, 2, 0, 13]


def test_every_head_is_fitted_on_a_balanced_subsample(monkeypatch: pytest.MonkeyPatch):
    sizes: list[list[int]] = []
    real = Refit.logistic

    def watched(self: Refit, examples: Examples, c: float) -> Head:
        sizes.append(np.bincount(examples.kinds, minlength=4).tolist())
        return real(self, examples, c)

    monkeypatch.setattr(Refit, "logistic", watched)
    refitted(c=(1.0, 0.1))
    rarest = int(torch.bincount(groups().groups).min())
    assert rarest == 9
    assert sizes[:-4] == [[5] * 4] * 4 + [[4] * 4] * 4 + [[5] * 4] * 4 + [[4] * 4] * 4  # halves of 5 and 4, two values
    assert sizes[-4:] == [[rarest] * 4] * 4


def test_permuted_groups_change_the_result_and_balance_by_class_does_not_read_them():
    labels = groups()
    order = torch.randperm(90, generator=torch.Generator().manual_seed(4))
    attributes = labels.attributes[order]
    classes = torch.arange(90) % 2
    permuted = GroupLabels.of(classes, attributes, classes == attributes, 2, ("red", "green"))
    for balance, same in (("groups", False), ("classes", True)):
        one, other = (refitted(labels=found, balance=balance) for found in (labels, permuted))
        assert torch.equal(one[-1].weight, other[-1].weight) == same, balance


# the oracle


def oracle(classes: int, logistic: str) -> np.ndarray:
    """scikit-learn's own pipelines, one a subsample, their decisions averaged: (N,) or (N, K)."""
    data, model = source(classes), network(classes)
    train, val = (logits(model[:-1], data, part).double().numpy() for part in (data.train, data.val))
    stream = torch.Generator().manual_seed(1)
    found = []
    for _ in range(4):
        index = balanced(groups(classes).groups.numpy(), stream)
        multinomial = (classes, logistic) == (3, "multinomial")
        base = LogisticRegression(
            C=0.5, l1_ratio=1.0, solver="saga" if multinomial else "liblinear",
            max_iter=100_000, random_state=0, tol=1e-8 if multinomial else 1e-4,
        )  # fmt: skip
        scaler = StandardScaler().fit(train)
        last = OneVsRestClassifier(base) if (classes, logistic) == (3, "as_published") else base
        last.fit(scaler.transform(val[index]), data.val.labels.numpy()[index])
        found.append(make_pipeline(scaler, last).decision_function(val))
    return np.mean(found, axis=0)


@pytest.mark.parametrize("logistic", ["multinomial", "as_published"])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_network_answers_as_scikit_learns_averaged_pipeline(classes: int, logistic: str):
    data = source(classes)
    answers = logits(refitted(classes, c=(0.5,), logistic=logistic), data, data.val).double().numpy()
    wanted = oracle(classes, logistic)
    if classes == 2:
        answers = answers[:, 1] - answers[:, 0]
        assert np.array_equal(answers > 0, wanted > 0)
    else:
        clear = np.diff(np.sort(wanted), axis=1)[:, -1] > 1e-3  # images without a feature tie two classes
        assert clear.sum() > 20
        assert np.array_equal(answers.argmax(1)[clear], wanted.argmax(1)[clear])
    np.testing.assert_allclose(answers, wanted, rtol=1e-4, atol=1e-4)
    assert np.ptp(answers) > 1


@pytest.mark.parametrize("published", [False, True])
def test_a_fit_with_an_intercept_answers_as_scikit_learn(published: bool):
    stream = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = stream.normal(size=(60, 2)) + 3 + labels[:, None]
    examples = Examples(features, labels, labels)
    head = Refit(np.ones((2, 2), bool), 1, published, torch.Generator()).logistic(examples, 10.0)
    wanted = LogisticRegression(C=10.0, l1_ratio=1.0, solver="liblinear", random_state=0).fit(features, labels)
    found = features @ head.weight.T + head.bias
    np.testing.assert_allclose(found[:, 1] - found[:, 0], wanted.decision_function(features))
    assert np.array_equal(head.correct(examples), wanted.predict(features) == labels)
    assert abs(float(wanted.intercept_[0])) > 1


# the choice of C


def told(
    monkeypatch: pytest.MonkeyPatch, published: bool, right: dict[float, list[int] | None]
) -> tuple[float, list[Any]]:
    """The value chosen where the head of value c gets the kinds right that `right` says (None: half of each kind)."""
    kinds = np.repeat([0, 1, 2, 3], [20, 6, 5, 20])
    val = Examples(np.stack([np.arange(51), kinds], 1).astype(float), kinds // 2, kinds)
    fitted: list[Any] = []

    def averaged(self: Refit, examples: Examples, c: float, subsamples: int) -> Any:
        fitted.append((set(examples.features[:, 0].tolist()), subsamples))

        def correct(held: Examples) -> Any:
            assert not fitted[-1][0] & set(held.features[:, 0].tolist()), "tested on what it was fitted on"
            return held.features[:, 0] % 2 == 0 if right[c] is None else np.isin(held.kinds, right[c])

        return SimpleNamespace(correct=correct)

    monkeypatch.setattr(Refit, "averaged", averaged)
    refit = Refit(np.ones((2, 2), bool), 7, published, torch.Generator().manual_seed(0))
    return refit.chosen(val, tuple(right)), fitted


def test_the_strength_of_the_best_worst_kind_is_chosen_and_of_equals_the_first(monkeypatch: pytest.MonkeyPatch):
    right = {1.0: [0, 1, 3], 0.5: None, 0.1: None, 0.01: [0, 3]}  # by all examples 1.0 is the best: 46 of 51
    chosen, fitted = told(monkeypatch, False, right)
    assert chosen == 0.5
    assert len(fitted) == 8
    assert {subsamples for _, subsamples in fitted} == {7}
    assert fitted[0][0] | fitted[1][0] == set(range(51))
    chosen, fitted = told(monkeypatch, True, right)
    assert chosen == 0.5
    assert [subsamples for _, subsamples in fitted] == [1] * 4
    assert len({frozenset(index) for index, _ in fitted}) == 1
    assert told(monkeypatch, False, {1.0: [0, 1, 2], 0.5: [1, 2, 3]})[0] == 1.0


def test_what_was_chosen_is_saved_and_used():
    data, model = source(), network()
    asked = context(data)
    dfr(model, data, asked, groups(), subsamples=2, c=(0.6, 1e-4))
    assert float(asked.written["c"]) == pytest.approx(0.6)
    constant = refitted(c=(1e-4,))  # a penalty that leaves no weight
    assert not constant[-1].weight.any()
    assert model[-1].weight.any()


# masks


def masked(rows: dict[int, list[int]]) -> Mask:
    """A mask of the head that removes these features of these rows."""
    kept = torch.ones(2, UNITS, dtype=torch.bool)
    for row, features in rows.items():
        kept[row, features] = False
    return Mask({"6.weight": kept})


def test_removed_weights_of_the_head_stay_zero_and_half_removed_features_say_the_same():
    data = source()
    plain = refitted(c=(1.0,))
    half = refitted(mask=masked({0: [0, 1, 2], 1: [4, 5]}), c=(1.0,))
    assert not half[-1].weight[0, :3].any()
    assert not half[-1].weight[1, 4:6].any()
    answers = [logits(model, data, data.val) for model in (plain, half)]
    torch.testing.assert_close(*(found[:, 1] - found[:, 0] for found in answers), rtol=1e-4, atol=1e-4)


def test_a_feature_that_the_mask_removes_for_every_class_is_left_out_of_the_fit():
    used = int(refitted(c=(1.0,))[-1].weight[0].abs().argmax())
    without = refitted(mask=masked({0: [used], 1: [used]}), c=(1.0,))
    assert not without[-1].weight[:, used].any()
    model, data = network(), source()
    with torch.no_grad():
        model[4].weight[used], model[4].bias[used] = 0, 0  # a feature that is never there
    dfr(model, data, context(data), groups(), subsamples=4, c=(1.0,))
    others = [unit for unit in range(UNITS) if unit != used]
    torch.testing.assert_close(without[-1].weight[:, others], model[-1].weight[:, others])


def test_of_three_classes_a_removed_weight_is_zero_and_the_others_are_as_without_a_mask():
    kept = torch.ones(3, UNITS, dtype=torch.bool)
    kept[0, :3] = False
    plain, model = refitted(3, c=(1.0,)), refitted(3, mask=Mask({"6.weight": kept}), c=(1.0,))
    assert plain[-1].weight[0, :3].any()
    assert torch.equal(model[-1].weight, plain[-1].weight * kept)


def test_a_mask_in_force_holds_through_the_stage():
    def noise(model: nn.Module, data: TrainingData, context: Any) -> dict[str, Tensor]:
        return {name: torch.rand(w.shape, generator=context.generator) for name, w in context.prunable(model).items()}

    trial = ToyTrial()
    mask = trial.prune(noise, sparsity=0.5)
    key = trial.train(dfr, {"subsamples": 2, "c": [1.0]}, ("val_groups",), mask=mask)
    weights, start = trial.made[key].blobs["weights"], trial.made[trial.init].blobs["weights"]
    for name, kept in trial.made[mask].blobs["mask"].items():
        assert not weights[name][~kept].any(), name
    assert not torch.equal(weights["5.weight"], start["5.weight"])
    assert (trial.made[key].body["steps"], trial.made[key].body["training_flops"]) == (0, None), "a closed form"


# refusals


def test_empty_and_rare_groups_are_named():
    labels = groups()
    classes = torch.arange(90) % 2
    aligned = GroupLabels.of(classes, classes, classes == classes, 2, ("red", "green"))
    with pytest.raises(Skip, match=r"too few: 0/green \(0\), 1/red \(0\)"):
        refitted(labels=aligned)
    one = labels.attributes.clone()
    one[(classes == 0) & (torch.arange(90) > 8)] = 0
    rare = GroupLabels.of(classes, one, classes == one, 2, ("red", "green"))
    assert int(torch.bincount(rare.groups)[1]) == 1
    with pytest.raises(Skip, match=r"one value of c\); too few: 0/green \(1\)"):
        refitted(labels=rare)
    refitted(labels=rare, c=(0.5,))
    refitted(labels=aligned, balance="classes")


def test_it_refuses_strengths_and_heads_that_it_cannot_use():
    for c in ((), (1.0, 0.0), (-1.0,)):
        with pytest.raises(BenchbiasError, match="above 0"):
            refitted(c=c)
    data = source()
    for head in (nn.Linear(UNITS, 2, bias=False), nn.Linear(UNITS, 2)):
        model = network()
        model[6] = head
        if head.bias is not None:
            model.head_name = "1"  # type: ignore[assignment]
        with pytest.raises(BenchbiasError, match="with a bias"):
            dfr(model, data, context(data), groups())
    assert GRID[0] == 1.0
