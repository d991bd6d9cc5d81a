"""Loading: what is decoded is what other libraries read, once; damage is seen; nothing is held; no connection."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.data.augment import channel_statistics
from benchbias.data.reading import fetching, hub, raw_files
from benchbias.data.reading.hub import content_digest, hub_images
from benchbias.data.reading.pixel_cache import rows_of
from benchbias.data.reading.raw_files import SOURCES, data_folder, own_folder, raw_digest
from benchbias.data.values import Batch, Split, TrainingData
from benchbias.errors import DataError
from benchbias.stages.predict import batch_size
from benchbias.store.tensor_files import packed
from benchbias.util.files import write_whole

DTYPES = (
    torch.uint8,
    torch.bool,
    torch.int64,
    torch.int32,
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.float16,
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a local copy of `some/images`: 40 PNGs of 9 x 7, JPEGs of the same size from row 30 on."""
    import io

    import datasets
    from PIL import Image

    root = tmp_path_factory.mktemp("copy")
    random = np.random.default_rng(0)
    cells = []
    for number in range(40):
        image, buffer = Image.fromarray(random.integers(0, 256, (7, 9, 3), dtype=np.uint8)), io.BytesIO()
        image.save(buffer, "PNG" if number < 30 else "JPEG")
        cells.append({"bytes": buffer.getvalue(), "path": None})
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["no", "yes"])}
    features |= {"weight": datasets.Value("float64"), "count": datasets.Value("int32")}
    columns = {"image": cells, "label": [n % 2 for n in range(40)], "count": list(range(40))}
    columns |= {"weight": [n / 3 for n in range(40)]}
    (root / "some" / "images").mkdir(parents=True)
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    table.to_parquet(root / "some" / "images" / "train.parquet")
    return root


@pytest.fixture
def mine(copy: Path, tmp_path: Path) -> Path:
    """A copy of that data folder, to be spoilt."""
    path = tmp_path / "some" / "images" / "train.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes((copy / "some" / "images" / "train.parquet").read_bytes())
    return tmp_path


# --- what is read


def test_images_and_columns_are_those_that_datasets_reads(copy: Path, tmp_path: Path):
    import datasets

    found = hub_images(copy, "some/images", "train", columns=("label", "weight", "count"))
    wanted = datasets.load_dataset(str(copy / "some" / "images"), split="train", cache_dir=str(tmp_path))
    assert found.images.shape == (40, 3, 7, 9)
    for image, row in zip(found.images, wanted, strict=True):
        assert np.array_equal(image.numpy().transpose(1, 2, 0), np.asarray(row["image"]))
    assert torch.equal(found.columns["label"], torch.arange(40) % 2)
    assert torch.equal(found.columns["count"], torch.arange(40))
    assert found.columns["weight"] == wanted["weight"][:]
    assert found.names == {"label": ("no", "yes")}


def test_what_is_decoded_once_is_not_decoded_again_until_a_file_or_a_setting_changes(mine: Path, monkeypatch):
    calls = []
    real = hub.decode
    monkeypatch.setattr(hub, "decode", lambda *a, **k: calls.append(a[1]) or real(*a, **k))
    first = hub_images(mine, "some/images", "train").images.clone()
    assert len(calls) == 40
    assert torch.equal(hub_images(mine, "some/images", "train").images, first)
    assert len(calls) == 40
    hub_images(mine, "some/images", "train", size=5)
    assert len(calls) == 80
    (mine / "some" / "images" / "README.md").write_text("# changed")
    assert torch.equal(hub_images(mine, "some/images", "train").images, first)
    assert len(calls) == 120


def test_an_image_is_stretched_to_a_square_of_which_the_middle_is_cut_out(mine: Path):
    import io

    import pyarrow.parquet
    from PIL import Image
    from torchvision import transforms

    cells = pyarrow.parquet.read_table(mine / "some" / "images" / "train.parquet")["image"].to_pylist()
    found = hub_images(mine, "some/images", "train", size=8, stretch=11)
    whole = hub_images(mine, "some/images", "train", stretch=11)
    scale, crop = transforms.Resize((11, 11)), transforms.CenterCrop(8)
    for image, all_of_it, cell in zip(found.images, whole.images, cells, strict=True):
        with Image.open(io.BytesIO(cell["bytes"])) as file:
            wanted = scale(file)
        assert np.array_equal(all_of_it.numpy().transpose(1, 2, 0), np.asarray(wanted))
        assert np.array_equal(image.numpy().transpose(1, 2, 0), np.asarray(crop(wanted)))
    with pytest.raises(DataError, match="stretch = 7: a middle square of size = 8 is larger"):
        hub_images(mine, "some/images", "train", size=8, stretch=7)


def spoil(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "bit":
        content[len(content) // 2] ^= 1
    path.unlink()
    if how != "gone":
        path.write_bytes(b"" if how == "empty" else content[:-5] if how == "short" else content)


@pytest.mark.parametrize("suffix", [".u8", ".json"])
@pytest.mark.parametrize("how", ["bit", "short", "empty", "gone"])
def test_a_damaged_cache_is_seen_and_made_again(mine: Path, suffix: str, how: str):
    first = hub_images(mine, "some/images", "train")
    whole = first.images.clone()
    (path,) = (mine / raw_files.OWN / "decoded").glob(f"*{suffix}")
    content = path.read_bytes()
    spoil(path, how)
    again = hub_images(mine, "some/images", "train")
    assert torch.equal(again.images, whole)
    assert torch.equal(again.columns["label"], first.columns["label"])
    assert path.read_bytes() == content


def test_a_fault_leaves_no_cache_and_no_rest(mine: Path, monkeypatch):
    real, calls = hub.decode, []

    def failing(*arguments, **named):
        calls.append(1)
        if len(calls) == 20:
            raise DataError("a fault")
        return real(*arguments, **named)

    monkeypatch.setattr(hub, "decode", failing)
    with pytest.raises(DataError, match="a fault"):
        hub_images(mine, "some/images", "train")
    left = {path.suffix for path in (mine / raw_files.OWN / "decoded").iterdir()}
    assert left == {".lock"}
    assert len(hub_images(mine, "some/images", "train").images) == 40


def test_a_data_folder_that_nobody_writes_to_is_left_alone(mine: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("BENCHBIAS_CACHE", str(tmp_path / "cache"))
    mine.chmod(0o555)
    try:
        hub_images(mine, "some/images", "train")
        assert not (mine / raw_files.OWN).exists()
        assert list((tmp_path / "cache").rglob("*.u8"))
    finally:
        mine.chmod(0o755)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (None, "row 4: no image"),
        ({"bytes": b"not an image", "path": None}, "row 4: no image of a known format"),
        ({"bytes": None, "path": "/etc/passwd"}, "row 4: the image '/etc/passwd' lies outside"),
        ({"bytes": None, "path": "../../x.png"}, "row 4: the image '../../x.png' lies outside"),
        ({"bytes": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "path": None}, "no image of a known format"),
    ],
)
def test_a_bad_cell_is_one_message_with_its_row(copy: Path, tmp_path: Path, cell, message: str):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(copy / "some" / "images" / "train.parquet")
    cells = table["image"].to_pylist()
    cells[3] = cell
    column = pa.array(cells, table.schema.field("image").type)
    (tmp_path / "bad" / "images").mkdir(parents=True)
    pq.write_table(table.set_column(0, table.schema.field("image"), column), tmp_path / "bad/images/train.parquet")
    with pytest.raises(DataError, match=message):
        hub_images(tmp_path, "bad/images", "train")


# --- torchvision's layout


def write_idx(folder: Path, name: str, values: np.ndarray) -> None:
    head = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    (folder / name).write_bytes(head + values.astype(np.uint8).tobytes())


def test_the_files_of_torchvision_are_read_as_the_repository_would_be(tmp_path: Path):
    random = np.random.default_rng(1)
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    images, labels = random.integers(0, 256, (50, 28, 28)), random.integers(0, 10, 50)
    for kind in ("train", "t10k"):
        write_idx(folder, f"{kind}-images-idx3-ubyte", images if kind == "train" else images[::-1])
        write_idx(folder, f"{kind}-labels-idx1-ubyte", labels)
    found = hub_images(tmp_path, "ylecun/mnist", "train")
    assert np.array_equal(found.images.numpy()[:, 0], images)
    assert found.columns["label"].tolist() == labels.tolist()
    assert found.names["label"] == tuple("0123456789")
    assert np.array_equal(hub_images(tmp_path, "ylecun/mnist", "test").images.numpy()[:, 0], images[::-1])
    for arguments, message in (
        ({"image": "picture"}, "unknown column 'picture'"),
        ({"columns": ("ground",)}, "unknown column 'ground'"),
        ({"split": "val"}, r"unknown split 'val' \(known: test, train\)"),
    ):
        with pytest.raises(DataError, match=message):
            hub_images(tmp_path, "ylecun/mnist", **{"split": "train"} | arguments)


def test_a_pickle_in_the_place_of_cifar_is_never_opened(tmp_path: Path):
    """torchvision unpickles its batches: only after their sums were found right."""
    import pickle

    class Canary:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("data_batch_1", "data_batch_2", "batches.meta", "test_batch"):
        (folder / name).write_bytes(pickle.dumps(Canary()))
    with pytest.raises(DataError, match="torchvision's CIFAR10 cannot read"):
        hub_images(tmp_path, "uoft-cs/cifar10", "train", image="img")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.skipif(not (data_folder() / "ylecun" / "mnist").is_dir(), reason="MNIST is not below BENCHBIAS_DATA")
def test_mnist_is_what_was_published():
    for split, wanted in SOURCES["ylecun/mnist"].content.items():
        found = hub_images(data_folder(), "ylecun/mnist", split)
        assert content_digest(found.images, found.columns["label"]) == wanted


# --- fetching


def test_a_repository_is_fetched_whole_or_not_at_all(tmp_path: Path, monkeypatch):
    import huggingface_hub

    def download(repository, repo_type, local_dir):
        assert (repository, repo_type) == ("some/images", "dataset")
        Path(local_dir, ".cache").mkdir(parents=True)
        Path(local_dir, "train.parquet").write_bytes(b"x")
        if not working:
            raise OSError("the network is gone")

    working = False
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(DataError, match=r"'some/images' cannot be fetched from the hub: OSError: the network is gone"):
        fetching.fetch(tmp_path / "data", "some/images")
    assert not list((tmp_path / "data").rglob("*.parquet"))
    working = True
    told: list[str] = []
    fetching.provide(tmp_path / "data", [("hub", "some/images")], told.append)
    assert [path.name for path in (tmp_path / "data" / "some" / "images").iterdir()] == ["train.parquet"]
    assert told == [f"fetching some/images into {tmp_path / 'data'}"]


def test_what_the_hub_does_not_give_comes_from_the_other_place(tmp_path: Path, monkeypatch):
    import huggingface_hub
    from torchvision import datasets

    def refuse(*arguments, **named):
        raise OSError("no route")

    def mirror(root, download):
        assert download
        if not working:
            raise RuntimeError("no mirror answers")
        Path(root, "MNIST", "raw").mkdir(parents=True)

    working = True
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    monkeypatch.setattr(datasets, "MNIST", mirror)
    assert fetching.fetch(tmp_path, "ylecun/mnist") == tmp_path / "MNIST" / "raw"
    working = False
    with pytest.raises(
        DataError, match=r"neither from the hub \(.*no route\) nor from torchvision's mirrors \(.*no mi"
    ):
        fetching.fetch(tmp_path / "other", "ylecun/mnist")


SITE = """
import sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        open({path!r}, "a").write(f"{{event}} {{arguments}}\\n")
        raise PermissionError("no connection here")
sys.addaudithook(watch)
"""
OFFLINE = """
schema = 1
[suites.mine]
title = "From the hub"
version = "1"
tasks = ["images"]
methods = ["erm"]
seeds = 1
metrics = ["accuracy"]
rank_by = "accuracy"
[tasks.images.dataset]
use = "hub"
repository = "some/images"
attribute = "count"
test_split = "train"
val_split = "train"
duplicates = "count"
[tasks.images.model]
use = "lenet_small"
[suites.absent]
title = "Not here"
version = "1"
tasks = ["absent"]
methods = ["erm"]
seeds = 1
metrics = ["accuracy"]
rank_by = "accuracy"
[tasks.absent]
dataset = { use = "hub", repository = "some/absent", attribute = "a" }
model = { use = "lenet_small" }
"""


@pytest.fixture
def watched(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A file that lists every connection that any Python process of this environment tries; and the environment."""
    (tmp_path / "site").mkdir()
    log = tmp_path / "connections"
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE.format(path=str(log)))
    return log, {"PYTHONPATH": str(tmp_path / "site")}


def test_offline_opens_no_connection_in_any_process(copy: Path, tmp_path: Path, watched, cli):
    log, env = watched
    (tmp_path / "own.toml").write_text(OFFLINE)
    options = ["--config", "own.toml", "--data-dir", str(copy)]
    absent = cli("prepare", "-s", "absent", "--offline", *options, cwd=tmp_path, env=env)
    assert absent.returncode == 2
    assert "'some/absent' is not there: looked for" in absent.stderr
    there = cli("prepare", "-s", "mine", "--offline", *options, cwd=tmp_path, env=env)
    assert "test has no example of" in there.stderr, "it was read as far as its groups"
    assert not log.exists()
    tried = cli("prepare", "-s", "absent", *options, cwd=tmp_path, env={**env, "HF_HUB_OFFLINE": "0"})
    assert tried.returncode == 2
    assert "cannot be fetched from the hub" in tried.stderr
    assert log.exists(), "without --offline it does try: the watch is not blind"


def test_a_connection_is_seen(watched):
    log, env = watched
    code = f"import socket; socket.create_connection(('127.0.0.1', {_free_port()}), 1)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **env}, stderr=subprocess.DEVNULL, check=False)
    assert "socket.getaddrinfo" in log.read_text()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# --- digests of raw files


def settle(folder: Path, monkeypatch) -> None:
    """As if the files had lain there for a while."""
    monkeypatch.setattr(raw_files, "SETTLED_SECONDS", -1.0)
    raw_digest(folder, folder)


def test_a_file_is_read_again_only_when_it_has_changed(mine: Path, monkeypatch):
    settle(mine / "some", monkeypatch)
    read = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, how: read.append(file.name) or real(file, how))
    first = raw_digest(mine / "some", mine / "some")
    assert not read
    path = mine / "some" / "images" / "train.parquet"
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # the same size and time
    assert raw_digest(mine / "some", mine / "some") != first
    assert read == [str(path)]


def test_a_file_that_was_just_written_is_read_each_time(mine: Path, monkeypatch):
    read = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, how: read.append(file.name) or real(file, how))
    for _ in range(2):
        raw_digest(mine / "some", mine / "some")
    assert len(read) == 2


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"images/train.parquet": [1]}', "\x00"])
def test_a_spoilt_manifest_only_costs_time(mine: Path, monkeypatch, text: str):
    settle(mine / "some", monkeypatch)
    first = raw_digest(mine / "some", mine / "some")
    (manifest,) = (own_folder(mine / "some") / "manifest").iterdir()
    manifest.write_text(text)
    assert raw_digest(mine / "some", mine / "some") == first


def test_names_count_and_hidden_files_do_not(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_text("1")
    first = raw_digest(tmp_path, tmp_path / "a")
    (tmp_path / "a" / ".hidden").write_text("2")
    (tmp_path / "a" / ".git").mkdir()
    (tmp_path / "a" / ".git" / "x").write_text("2")
    assert raw_digest(tmp_path, tmp_path / "a") == first
    (tmp_path / "a" / "one").rename(os.fsdecode(os.fsencode(tmp_path / "a") + b"/\xff"))
    assert raw_digest(tmp_path, tmp_path / "a") != first


# --- files that are written in pieces, and memory


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=6),
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3)),
        max_size=6,
    )
)
def test_a_file_in_pieces_has_the_bytes_that_safetensors_gives(spec):
    def clean(name: str) -> str:
        return name.encode(errors="replace").decode()

    tensors = {
        clean(name): torch.arange(int(np.prod(shape)), dtype=torch.float64).reshape(shape).to(dtype)
        for name, (dtype, shape) in spec.items()
    }
    whole = safetensors.torch.save({name: tensors[name] for name in sorted(tensors)})
    assert b"".join(packed(tensors)) == whole


def test_pieces_that_do_not_read_back_are_refused(tmp_path: Path, monkeypatch):
    pieces = [memoryview(b"one"), memoryview(b"two" * 1000)]
    write_whole(tmp_path / "whole", pieces)
    assert (tmp_path / "whole").read_bytes() == b"one" + b"two" * 1000
    real = os.write
    for wrong in (
        lambda d, c: real(d, bytes(c[:-1]) + b"!") and len(c),
        lambda d, c: real(d, bytes(c) + b"!") and len(c),
    ):
        monkeypatch.setattr(os, "write", wrong)
        with pytest.raises(OSError, match="does not read back"):
            write_whole(tmp_path / f"wrong-{id(wrong)}", pieces)
        with pytest.raises(OSError, match="does not read back"):
            write_whole(tmp_path / f"single-{id(wrong)}", [memoryview(b"one")])


HEAVY = """
import re, resource, sys
from pathlib import Path
import torch
from benchbias_plugins.networks.lenet import lenet_small
from benchbias.data.values import BiasedDataset, GroupLabels, LabelledSplit, Split, TrainingData
from benchbias.data.reading.pixel_cache import Sink, decoded, rows_of
from benchbias.data.augment import channel_statistics
from benchbias.stages.job import Job
from benchbias.stages import data as stage
from benchbias.store.store import Store
from benchbias.suite.tables import Recipe
from benchbias.training.fit import fit, logits

LIMIT = 20 << 20   # ten times less than the training images
root = Path(sys.argv[1])
count = {"train": 4100, "val": 64, "test": 64}

def grown(allowed):
    now = int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (now + allowed, resource.RLIM_INFINITY))

def build(name, number):
    def images(sink):
        random = torch.Generator().manual_seed(number)
        for row in range(number):
            sink.add(torch.randint(0, 256, (3, 128, 136), dtype=torch.uint8, generator=random).numpy(), str(row))
        return {}
    return decoded(root, {"split": name}, images).images

def splits(images):
    found = {}
    for name, each in images.items():
        labels = torch.arange(len(each)) % 2
        groups = GroupLabels.of(labels, labels, labels == 0, 2, ("a", "b"))
        found[name] = LabelledSplit(Split(each, labels, 2, name), groups, torch.arange(len(each)))
    return BiasedDataset(found, *channel_statistics(images["train"]), "made", "none")

def run(images):
    store = Store(root / "results").create()
    inputs = {"component": {"name": "big", "options": {}}, "seed": 0, "limit": None, "parents": {}}
    job = Job(store, inputs, {}, {("dataset", "big"): lambda root, seed: splits(images)}, torch.device("cpu"), root)
    made = stage.run(job)
    return store, {name: store.put_blob(tensors) for name, tensors in made.blobs.items()}

def train(store, blobs):
    loaded = {name: store.load_blob(blobs[name]) for name in ("train", "val")}
    parts = {name: Split(each["images"], each["labels"], 2, name) for name, each in loaded.items()}
    data = TrainingData(parts["train"], parts["val"], (0.5,) * 3, (0.25,) * 3, 8)
    model = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 17, 2))
    torch.manual_seed(0)
    report = fit(model, data, Recipe(epochs=1, batch_size=8, lr=0.01), torch.Generator().manual_seed(0))
    return report.losses, logits(model, data, parts["train"]).double().sum()

small = {name: build("small-" + name, 16) for name in count}
train(*run(small))                           # everything is imported, and every pool is there
images = {name: build(name, number) for name, number in count.items()}
size = images["train"].nbytes
assert size > 10 * LIMIT, size
grown(LIMIT)
try:
    images["train"].clone()
    raise SystemExit("the limit does not bite")
except RuntimeError:
    pass
store, blobs = run(images)                   # the data stage: built, checked, hashed and written
del images
grown(size + LIMIT)                          # its file is mapped once, and the little ones
print(train(store, blobs))
half = store.load_blob(blobs["train"])["images"]
grown(size + LIMIT)                          # one more mapping, of the selection
chosen = rows_of(root, half, torch.arange(len(half)).flip(0))
assert torch.equal(chosen[0], half[-1]) and torch.equal(chosen[-1], half[0])
print("done")
"""


def told_by_a_child(code: str, folder: Path) -> list[str]:
    """The lines that a fresh process prints: this one may hold freed memory, which hides what it takes anew."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_set_ten_times_larger_than_the_memory_is_built_stored_and_trained_on(tmp_path: Path):
    assert told_by_a_child(HEAVY, tmp_path)[-1] == "done"


MAPPED = """
import os, sys
import torch
from benchbias.util.processes import held_bytes

SIZE = 48 << 20
held = [held_bytes([os.getpid()])]
mapped = torch.from_file(sys.argv[1] + "/file", shared=False, size=SIZE, dtype=torch.uint8)
assert int(mapped.max()) == 7                # every page is read
held.append(held_bytes([os.getpid()]))
own = torch.ones(SIZE, dtype=torch.uint8)
held.append(held_bytes([os.getpid()]))
assert int(own[0]) == 1
print(*held, sep="\\n")
"""


def test_what_is_mapped_from_a_file_is_no_memory_that_a_stage_holds(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"\7" * (48 << 20))
    before, mapped, own = map(int, told_by_a_child(MAPPED, tmp_path))
    assert mapped - before < 16 << 20
    assert 40 << 20 < own - mapped < 56 << 20


SIZES = [((3, 8, 8), 256), ((3, 224, 224), 256), ((3, 1024, 1024), 21), ((9, 9999, 9999), 1)]


@pytest.mark.parametrize(("shape", "count"), SIZES)
def test_a_batch_of_large_images_is_bounded(shape, count: int):
    assert batch_size(shape) == count


def test_a_large_selection_is_the_selection(tmp_path: Path, monkeypatch):
    images = torch.randint(0, 256, (50, 3, 4, 4), dtype=torch.uint8)
    index = torch.randperm(50)[:33]
    small = rows_of(tmp_path, images, index)
    monkeypatch.setattr("benchbias.data.reading.pixel_cache.SMALL_BYTES", 100)
    monkeypatch.setattr("benchbias.data.reading.pixel_cache.PART_BYTES", 200)
    large = rows_of(tmp_path, images, index)
    assert torch.equal(small, large)
    assert torch.equal(small, images[index])
    assert not list(tmp_path.rglob("*.tmp"))


def test_statistics_are_exact_whatever_the_parts(monkeypatch):
    images = torch.randint(0, 256, (40, 2, 5, 3), dtype=torch.uint8)
    images[:, 1] = 7
    monkeypatch.setattr("benchbias.data.augment.STATISTICS_BYTES", 200)
    mean, std = channel_statistics(images)
    wanted = images[:, 0].double() / 255
    assert mean == pytest.approx([float(wanted.mean()), 7 / 255], abs=1e-14)
    assert std == pytest.approx([float(wanted.std(correction=0)), 1.0], abs=1e-14)


def test_images_that_stay_where_they_are_give_the_same_batches():
    """As where a split does not fit on the device: the images lie elsewhere than labels and index."""
    images = torch.randint(0, 256, (9, 1, 4, 4), dtype=torch.uint8)
    split = Split(images, torch.zeros(9, dtype=torch.int64), 2, "train")
    data = TrainingData(split, split, (0.5,), (0.5,), 4)
    batches: list[Batch] = list(data.batches(split))
    assert torch.allclose(torch.cat([batch.images for batch in batches]), (images / 255 - 0.5) / 0.5, atol=1e-6)
