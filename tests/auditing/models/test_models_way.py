"""Two networks on a folder of images: the answers are those of plain code of torchvision, and what is no pair stops."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchbias.auditing.before.stops import STOPS, check
from benchbias.auditing.models import answering, collect, measuring
from benchbias.auditing.models.builders import Fitting, architecture
from benchbias.auditing.models.collect import answers_of_models
from benchbias.auditing.models.networks import Network
from benchbias.auditing.models.specs import ImageSpec, LookSpec, ModelSpec, RunSpec, Source, model_spec
from benchbias.auditing.values import DENSE, Answers
from benchbias.errors import DataError, UsageError
from benchbias.plugin.components import resolve_options
from benchbias.plugin.loading import components_of
from benchbias.plugin.registry import load_registry
from benchbias.stages.job import call_component
from support.network_pairs import MEAN, RESIZE, SIZE, STD, Pair, make_pair

LOOK = LookSpec(MEAN, STD, RESIZE, SIZE)
MODEL = "shufflenet_v2_x0_5"  # small
RUN = RunSpec(cache=None, measure=False)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("pair") / "pair", MODEL)


def models(pair: Pair, *files: str, model: str = MODEL, dense: str = "dense.safetensors") -> ModelSpec:
    return model_spec(
        str(pair.folder / dense), [str(pair.folder / name) for name in files or ["pruned.pth"]], model=model
    )


def images(pair: Pair, **changes: object) -> ImageSpec:
    spec = ImageSpec(str(pair.folder / "photos"), pair.folder / "labels.csv", attributes=("sex",))
    return replace(spec, **changes)  # type: ignore[arg-type]


def run(pair: Pair, spec: ModelSpec | None = None, data: ImageSpec | None = None, **changes: object) -> Answers:
    return answers_of_models(spec or models(pair), data or images(pair), LOOK, replace(RUN, **changes), quiet=True)[0]  # type: ignore[arg-type]


def written(pair: Pair, name: str, tensors: dict[str, torch.Tensor]) -> str:
    torch.save(tensors, pair.folder / name)
    return name


@pytest.mark.slow
def test_a_pruned_resnet_has_the_answers_of_plain_torchvision(tmp_path):
    check_against_torchvision(make_pair(tmp_path / "pair", "resnet18"), "resnet18")


def test_answers_and_probabilities_are_those_of_plain_torchvision(pair):
    check_against_torchvision(pair, MODEL)


def check_against_torchvision(pair: Pair, model: str) -> None:
    found = run(pair, models(pair, model=model))
    assert found.classes == ("0", "1")
    assert found.label.tolist() == pair.labels
    for name, network in ((DENSE, pair.dense), ("pruned", pair.pruned)):
        oracle = pair.oracle(network)
        own = found.dense if name == DENSE else found.compressed[name]
        clear = (oracle[:, 0] - oracle[:, 1]).abs() > 1e-4  # rounding decides no other answer
        assert own[clear.numpy()].tolist() == oracle.argmax(1)[clear].tolist()
        assert clear.sum() >= len(oracle) - 1
        shares = oracle.double().softmax(1)
        np.testing.assert_allclose(found.scores[name].confidence, shares.max(1).values, atol=1e-4)
        np.testing.assert_allclose(found.scores[name].of_label, shares[range(len(shares)), pair.labels], atol=1e-4)
    dense, pruned = (pair.oracle(network).double().log_softmax(1) for network in (pair.dense, pair.pruned))
    np.testing.assert_allclose(found.scores["pruned"].divergence, (dense.exp() * (dense - pruned)).sum(1), atol=1e-4)
    assert 0 < (found.dense != found.compressed["pruned"]).sum() < len(pair.labels), "the pair tests nothing"
    assert 0 < found.dense.mean() < 1, "the pair tests nothing"
    assert any("are applied" in note for note in found.notes)


def test_attributes_ids_and_images_are_those_of_the_table(pair):
    found = run(pair)
    assert found.attributes["sex"].names == ("f", "m")
    assert found.attributes["sex"].codes.tolist() == [number % 2 for number in range(len(pair.labels))]
    assert found.ids == tuple(path.name for path in pair.images)
    assert found.images == tuple(map(str, pair.images))
    assert found.cluster is None


def test_the_order_of_rows_changes_no_answer_and_no_probability(pair, tmp_path):
    lines = (pair.folder / "labels.csv").read_text().splitlines()
    (tmp_path / "turned.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    one, two = run(pair), run(pair, data=images(pair, table=tmp_path / "turned.csv"))
    assert one.ids == two.ids[::-1]
    for name in (DENSE, "pruned"):
        for part in ("confidence", "of_label", "divergence"):
            first, second = (getattr(found.scores[name], part) for found in (one, two))
            assert first is None or np.array_equal(first, second[::-1])
    assert np.array_equal(one.dense, two.dense[::-1])


def test_sub_folders_are_the_classes_in_the_order_of_image_folder(pair, tmp_path):
    from torchvision.datasets import ImageFolder

    for path, label in zip(pair.images, pair.labels, strict=True):
        (tmp_path / "data" / ("cat", "dog")[label]).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "data" / ("cat", "dog")[label])
    found = run(pair, data=ImageSpec(str(tmp_path / "data")))
    oracle = ImageFolder(str(tmp_path / "data"))
    assert found.classes == tuple(oracle.classes)
    assert found.images == tuple(path for path, _ in oracle.samples)
    assert found.label.tolist() == [label for _, label in oracle.samples]
    by_name = dict(zip((path.name for path in pair.images), pair.oracle(pair.dense).argmax(1).tolist(), strict=True))
    assert found.dense.tolist() == [by_name[Path(path).name] for path in found.images or ()]


def test_a_file_of_classes_gives_the_order_and_classes_are_sorted(pair, tmp_path):
    (tmp_path / "classes.txt").write_text("zebra\nape\n")
    with (pair.folder / "labels.csv").open() as file:
        rows = list(csv.reader(file))
    with (tmp_path / "named.csv").open("w") as file:
        csv.writer(file).writerows(
            [rows[0], *([name, ("zebra", "ape")[int(label)], sex] for name, label, sex in rows[1:])]
        )
    named = images(pair, table=tmp_path / "named.csv")
    with pytest.raises(DataError, match=r"labels are names .* --classes FILE"):
        run(pair, data=named)
    found = run(pair, data=replace(named, classes=tmp_path / "classes.txt"))
    assert found.classes == ("ape", "zebra")
    assert found.dense.tolist() == (1 - pair.oracle(pair.dense).argmax(1)).tolist()
    assert found.label.tolist() == [1 - label for label in pair.labels]
    numbered = run(pair, data=images(pair, classes=tmp_path / "classes.txt"))
    assert numbered.label.tolist() == found.label.tolist()


def test_false_and_true_are_the_first_and_the_second_output(pair, tmp_path):
    text = (pair.folder / "labels.csv").read_text()
    (tmp_path / "true.csv").write_text(text.replace(",1,", ",true,").replace(",0,", ",false,"))
    found = run(pair, data=images(pair, table=tmp_path / "true.csv"))
    assert found.classes == ("False", "True")
    assert found.label.tolist() == pair.labels
    assert found.dense.tolist() == run(pair).dense.tolist()


@pytest.mark.slow
def test_the_images_of_a_plugins_data_set_are_prepared_as_networks_of_its_tasks_are(tmp_path):
    from benchbias.data.augment import normalise

    registry = load_registry(quiet=True)
    options = resolve_options(registry.components["dataset", "colored_digits"], {}, "")
    factory = components_of(registry.plugins[registry.components["dataset", "colored_digits"].plugin])
    made = call_component(factory["dataset", "colored_digits"], {"root": tmp_path, "seed": 0}, options)
    test = made.splits["test"]
    shape = tuple(test.split.images.shape[1:])
    built = architecture("mlp", Fitting(shape, {}))
    dense, other = built.build(made.num_classes), built.build(made.num_classes)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter *= 1.5
    torch.save(dense.state_dict(), tmp_path / "dense.pth")
    torch.save(other.state_dict(), tmp_path / "other.pth")
    spec = model_spec(str(tmp_path / "dense.pth"), [str(tmp_path / "other.pth")], model="mlp")
    data = ImageSpec("dataset:colored_digits", attributes=("attribute",))
    found = answers_of_models(spec, data, LookSpec(), RUN, quiet=True)[0]
    with torch.no_grad():
        oracle = dense(normalise(test.split.images, made.mean, made.std)).softmax(1).max(1).values
    np.testing.assert_allclose(found.scores[DENSE].confidence, oracle, atol=1e-4)
    names = [found.classes[code] for code in found.label]
    values = [found.attributes["attribute"].names[code] for code in found.attributes["attribute"].codes]
    groups = [test.groups.group_names[group] for group in test.groups.groups.tolist()]
    assert [f"{name}/{value}" for name, value in zip(names, values, strict=True)] == groups
    with pytest.raises(UsageError, match="unknown split 'tset'"):
        answers_of_models(spec, replace(data, split="tset"), LookSpec(), RUN, quiet=True)
    with pytest.raises(UsageError, match="unknown data set 'colored_digit'"):
        answers_of_models(spec, replace(data, data="dataset:colored_digit"), LookSpec(), RUN, quiet=True)


def test_copies_of_an_image_are_one_cluster_and_a_column_goes_before(pair, tmp_path):
    lines = (pair.folder / "labels.csv").read_text().splitlines()
    (tmp_path / "twice.csv").write_text("\n".join([*lines, lines[1], lines[2]]) + "\n")
    found = run(pair, data=images(pair, table=tmp_path / "twice.csv"))
    assert found.cluster is not None
    assert found.cluster[-2:].tolist() == found.cluster[:2].tolist()
    assert len(set(found.cluster.tolist())) == len(lines) - 1
    assert any("2 images are copies" in note for note in found.notes)
    assert found.warnings == ()
    (tmp_path / "once.csv").write_text("\n".join([*lines, lines[1]]) + "\n")
    once = run(pair, data=images(pair, table=tmp_path / "once.csv"))
    assert any("1 image is a copy of another, byte for byte" in note for note in once.notes)
    named = run(pair, data=images(pair, table=tmp_path / "twice.csv", cluster="sex"))
    assert named.cluster is not None
    assert len(set(named.cluster.tolist())) == 2


def test_an_image_with_two_labels_stops_and_both_rows_are_named(pair, tmp_path):
    lines = (pair.folder / "labels.csv").read_text().splitlines()
    name, label = lines[1].split(",")[0], pair.labels[0]
    wrong = lines[1].replace(f",{label},", f",{1 - label},")
    assert wrong != lines[1]
    (tmp_path / "two.csv").write_text("\n".join([*lines, wrong]) + "\n")
    found = run(pair, data=images(pair, table=tmp_path / "two.csv"))
    with pytest.raises(DataError, match=rf"example 1: .*{name} is labelled '{label}', and .*example {len(lines)}: .*"):
        check(found)
    assert any(warning.kind == "two-labels" for warning in check(found, allow=set(STOPS)))


def test_a_table_is_read_where_a_file_has_it_and_unused_averages_are_warnings_kept_too(pair, tmp_path):
    average = {
        key: tensor * 1.01 if tensor.is_floating_point() else tensor for key, tensor in pair.dense.state_dict().items()
    }
    name = written(pair, "tables.pth", {"model": pair.pruned.state_dict(), "model_ema": average})  # type: ignore[dict-item]
    kept = {"cache": tmp_path / "cache"}
    first, again = (run(pair, models(pair, name), **kept) for _ in range(2))
    assert [warning.kind for warning in first.warnings] == ["weights"]
    assert "--weights-table model_ema" in first.warnings[0].text
    assert again.warnings == first.warnings
    files = str(pair.folder / "dense.safetensors"), str(pair.folder / name), str(pair.folder / "pruned.pth")
    spec = model_spec(files[0], [files[1]], model=MODEL, table="model_ema")
    found = run(pair, spec)
    assert any("has no inner tables" in note for note in found.notes)
    assert found.warnings == ()
    with pytest.raises(DataError, match="--weights-table model_ema: no file here has inner tables"):
        run(pair, model_spec(files[0], [files[2]], model=MODEL, table="model_ema"))


def test_facts_that_were_kept_are_found_under_the_names_of_this_audit(pair, tmp_path):
    shutil.copy(pair.folder / "pruned.pth", pair.folder / "renamed.pth")
    how = replace(RUN, cache=tmp_path)
    for name in ("pruned.pth", "renamed.pth"):
        _, facts = answers_of_models(models(pair, name), images(pair), LOOK, how, quiet=True)
        assert list(facts) == [DENSE, name.removesuffix(".pth")]


def test_slow_networks_are_timed_with_fewer_images_at_once():
    assert [measuring.large_batch([one, one], 0.0) for one in (1.0, 10.0, 20.0, 40.0, 900.0)] == [64, 64, 32, 16, 8]
    assert measuring.large_batch([40.0, 40.0], 100.0) == 32
    assert measuring.large_batch([], 0.0) == 64
    for one in (1.0, 10.0, 20.0, 40.0):
        size = measuring.large_batch([one, one], 0.0)
        assert 2 * size * 2 * one / 1000 <= measuring.LONGEST


@pytest.mark.parametrize("seconds", [0.001, 0.03, 0.1])
def test_measuring_takes_seconds_however_slow_the_networks_are(monkeypatch, seconds):
    """On a clock that the networks alone move, by so many seconds for an image."""
    now = [0.0]

    def call(part: torch.Tensor) -> torch.Tensor:
        now[0] += seconds * len(part)
        return part.flatten(1)

    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    networks = [Network(Source(Path(name), name), call) for name in ("a.pth", "b.pth")]
    found = measuring.latencies(networks, torch.zeros(2, 3, 4, 4), torch.device("cpu"))
    for one, large in found:
        assert one.batch == 1
        assert one.median == pytest.approx(1000 * seconds)
        assert large.median == pytest.approx(1000 * seconds * large.batch)
        assert large.batch == (64 if seconds < 0.01 else 16 if seconds < 0.1 else 8)
    assert now[0] < 9


def test_facts_say_size_speed_and_zeros(pair, monkeypatch):
    monkeypatch.setattr(measuring, "SECONDS", 0.2)
    monkeypatch.setattr(measuring, "LONGEST", 1e9)  # however slow this machine is, 64 images are timed
    _, facts = answers_of_models(models(pair), images(pair), LOOK, replace(RUN, measure=True), quiet=True)
    count = sum(parameter.numel() for parameter in pair.dense.parameters())
    assert facts[DENSE].bytes_on_disk == (pair.folder / "dense.safetensors").stat().st_size
    assert facts[DENSE].parameters == facts["pruned"].parameters == count
    zeros = sum(int((part.weight == 0).sum()) for part in pair.pruned.modules() if hasattr(part, "weight_mask"))
    dense_zeros = sum(int((one == 0).sum()) for one in pair.dense.parameters())
    assert facts[DENSE].nonzeros == count - dense_zeros
    assert abs((facts["pruned"].nonzeros or 0) - (count - zeros - dense_zeros)) <= dense_zeros
    for fact in facts.values():
        assert [one.batch for one in fact.latency] == [1, 64]
        assert all(0 < one.low <= one.median <= one.high and one.repeats >= 2 for one in fact.latency)
        assert "torch" in str(fact.machine)


def test_a_copy_of_the_file_and_equal_tensors_stop(pair):
    shutil.copy(pair.folder / "dense.safetensors", pair.folder / "copy.safetensors")
    with pytest.raises(DataError, match="same bytes"):
        run(pair, models(pair, "copy.safetensors"))
    name = written(pair, "again.pth", {f"module.{key}": tensor for key, tensor in pair.dense.state_dict().items()})
    with pytest.raises(DataError, match=r"every tensor of .*again\.pth equals"):
        run(pair, models(pair, name))


def test_logits_that_are_no_numbers_stop_and_name_the_image(pair):
    broken = dict(pair.dense.state_dict())
    broken["fc.weight"] = broken["fc.weight"] * float("nan")
    with pytest.raises(DataError, match=r"broken\.pth gives logits that are no numbers .* on .*example \d+: .*photos"):
        run(pair, models(pair, written(pair, "broken.pth", broken)))


def test_the_head_says_the_number_of_classes_and_both_have_one(pair):
    wide = dict(pair.dense.state_dict())
    wide["fc.weight"], wide["fc.bias"] = torch.randn(7, 1024), torch.zeros(7)
    name = written(pair, "wide.pth", wide)
    with pytest.raises(DataError, match=r"has 2 outputs, .*wide\.pth 7"):
        run(pair, models(pair, name))
    save_file({**wide, "fc.weight": torch.randn(7, 1024)}, pair.folder / "seven.safetensors")
    found = run(pair, models(pair, name, dense="seven.safetensors"))
    assert found.classes == tuple("0123456")


def test_preprocessing_that_nobody_tells_stops_with_a_line_to_paste(pair):
    with pytest.raises(UsageError, match=r"--mean 0\.485,0\.456,0\.406 --std .* --resize 256 --size 224"):
        answers_of_models(models(pair), images(pair), LookSpec(), RUN, quiet=True)


def test_images_of_several_sizes_stop_where_nothing_scales_them(pair):
    with pytest.raises(DataError, match="--resize and --size make all images alike"):
        answers_of_models(models(pair), images(pair), LookSpec(MEAN, STD), RUN, quiet=True)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"table": Path("nowhere.csv")}, "no such table"),
        ({"attributes": ("age",)}, "age"),
        ({"label": "sex"}, "labels are names"),
        ({"image": "label"}, r"no image '[01]' in .* and 39 more of 40"),
        ({"data": "nowhere"}, "no such folder"),
        ({"table": None}, "--table FILE"),
    ],
)
def test_what_is_not_there_is_named(pair, changes, told):
    with pytest.raises((DataError, UsageError), match=told):
        run(pair, data=images(pair, **changes))


def test_labels_beyond_the_outputs_stop(pair, tmp_path):
    text = (pair.folder / "labels.csv").read_text()
    (tmp_path / "from1.csv").write_text(text.replace(",1,", ",2,").replace(",0,", ",1,"))
    with pytest.raises(DataError, match=r"the label 2 .*2 outputs.*begin with 1"):
        run(pair, data=images(pair, table=tmp_path / "from1.csv"))


def test_a_batch_that_does_not_fit_is_one_line(pair, monkeypatch):
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.nn.Conv2d, "forward", full)
    with pytest.raises(DataError, match=r"does not fit into memory .*--batch"):
        run(pair)


def test_a_file_that_changes_while_it_is_read_stops(pair, monkeypatch, tmp_path):
    shutil.copytree(pair.folder / "photos", tmp_path / "photos")
    looked_at = collect._Work._looked_at

    def edit(*arguments: object) -> object:
        found = looked_at(*arguments)  # type: ignore[arg-type]
        shutil.copy(tmp_path / "photos/1.png", tmp_path / "photos/3.png")
        return found

    monkeypatch.setattr(collect._Work, "_looked_at", edit)
    with pytest.raises(DataError, match=r"3\.png: changed while it was read"):
        run(pair, data=images(pair, data=str(tmp_path / "photos")))


def test_the_size_of_a_batch_changes_no_answer(pair, monkeypatch):
    seen: list[int] = []
    original = answering._answered

    def watched(*arguments: Any) -> Any:
        seen.append(len(arguments[1]))
        return original(*arguments)

    monkeypatch.setattr(answering, "_answered", watched)
    one, two = run(pair, batch=7), run(pair, batch=64)
    assert set(seen) == {7, 5, 40}
    assert np.array_equal(one.dense, two.dense)
    np.testing.assert_allclose(one.scores[DENSE].confidence, two.scores[DENSE].confidence, atol=1e-4)
