"""Data is only ever parsed: nothing unpickles, evaluates or unpacks it, follows it out of its folder, or obeys it."""

from __future__ import annotations

import ast
import json
import os
import pickle
import re
import struct
from pathlib import Path

import pytest
import torch

from benchbias.cli.folders.cleaning import clean_results
from benchbias.errors import ComponentError, DamagedError, StorageError, UsageError
from benchbias.plugin.components import describe
from benchbias.plugin.discovery import discover
from benchbias.plugin.registry import load_registry
from benchbias.records.trial import TrialRecord
from benchbias.runner.recording import make_record
from benchbias.stages.job import load_weights
from benchbias.store.store import FOLDERS, Store
from benchbias.suite.catalogue import load
from benchbias.util import canonical
from support import ROOT

SOURCES = [path for folder in ("benchbias", "plugins", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]

# --- what the code never does

MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "jsonpickle", "imp"}
CALLS = {  # by the last names of what is called
    *("eval", "exec", "compile", "__import__"),
    *("torch.load", "torch.save", "torch.hub.load", "yaml.load", "yaml.unsafe_load", "os.system", "os.popen"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "read_pickle", "to_pickle", "numpy.memmap"),
    *("extractall", "unpack_archive"),
}
KEYWORDS = {"shell", "trust_remote_code", "allow_pickle"}  # only ever False
NAMES = {"extractall", "unpack_archive", "read_pickle", "to_pickle", "fork_exec", "trust_remote_code", "allow_pickle"}


def dangers(source: str) -> list[str]:
    """What of the above a source text does, with the line."""
    found = []
    tree = ast.parse(source)
    renamed = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    renamed |= {
        alias.asname: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0]]
        found += [f"{node.lineno}: import {name}" for name in names if name in MODULES]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            first, _, rest = called.partition(".")
            whole = f"{renamed.get(first, first)}{'.' if rest else ''}{rest}"
            if whole in CALLS or whole.removeprefix("builtins.") in CALLS:
                found.append(f"{node.lineno}: {called}()")
            for keyword in node.keywords:
                if keyword.arg in KEYWORDS and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                ):
                    found.append(f"{node.lineno}: {keyword.arg}=")
            text = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if whole in ("importlib.import_module", "import_module") and str(text).split(".")[0] in MODULES:
                found.append(f"{node.lineno}: {text}")
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if name in NAMES:
            found.append(f"{node.lineno}: {name}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_unpickles_evaluates_or_unpacks_anything(path: Path):
    """But for the one place that reads what torch.save wrote, of which tensors alone are read."""
    found = [re.sub(r"^\d+: ", "", danger) for danger in dangers(path.read_text())]
    assert found == (["torch.load()"] if path.name == "checkpoints.py" else [])
    if found:
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        (load,) = (node for node in calls if ast.unparse(node.func) == "torch.load")
        assert "weights_only=True" in ast.unparse(load)


@pytest.mark.parametrize(
    "text",
    [
        *("import pickle", "import marshal as m", "from joblib import load", "from dill import loads as x"),
        *("eval('1')", "exec(x)", "__import__('os')", "import builtins; builtins.eval(x)"),
        *("torch.load(p)", "from torch import load as l; l(p)", "import torch as t; t.save(x, p)", "torch.hub.load(x)"),
        *("import numpy as np; np.load(p, allow_pickle=True)", "np.load(p, allow_pickle=flag)"),
        *("subprocess.run(c, shell=True)", "os.system(c)", "from os import system; system(c)"),
        *("tar.extractall()", "shutil.unpack_archive(p)", "load_dataset(n, trust_remote_code=True)", "yaml.load(t)"),
        *("importlib.import_module('pickle')", "pandas.read_pickle(p)"),
    ],
)
def test_the_search_above_finds(text: str):
    assert dangers(text)


@pytest.mark.parametrize(
    "text", ["model.eval()", "store.load(p)", "np.load(p, allow_pickle=False)", "json.load(f)", "re.compile(x)"]
)
def test_the_search_above_leaves_alone(text: str):
    assert not dangers(text)


# --- files of tensors


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results").create()


def planted(store: Store, content: bytes) -> str:
    """A blob under its own true digest, as whoever made a results folder could have put it there."""
    import hashlib

    sha256 = hashlib.sha256(content).hexdigest()
    store.blob_path(sha256).parent.mkdir(exist_ok=True)
    store.blob_path(sha256).write_bytes(content)
    return sha256


def tensors_file(header: str, data: bytes) -> bytes:
    return struct.pack("<Q", len(header.encode())) + header.encode() + data


ONE = '{"dtype":"F32","shape":[2],"data_offsets":[%d,%d]}'


def test_a_planted_blob_that_is_whole_is_read(store: Store):
    sha256 = planted(store, tensors_file('{"a":' + ONE % (0, 8) + "}", struct.pack("<2f", 1, 2)))
    assert store.load_blob(sha256)["a"].tolist() == [1, 2]


class Canary:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


BAD_TENSORS = {
    "a name twice": tensors_file('{"a":' + ONE % (0, 8) + ',"a":' + ONE % (8, 16) + "}", bytes(16)),
    "a header of 2^62 bytes": struct.pack("<Q", 1 << 62) + b"{}",
    "a header of 9 MiB": struct.pack("<Q", 9 << 20) + b"{" + b" " * ((9 << 20) - 2) + b"}",
    "a header that is cut off": struct.pack("<Q", 100) + b'{"a":',
    "no JSON": tensors_file("not JSON", b""),
    "a list": tensors_file("[]", b""),
    "places beyond the end": tensors_file('{"a":' + ONE % (0, 8) + "}", bytes(4)),
    "places that overlap": tensors_file('{"a":' + ONE % (0, 8) + ',"b":' + ONE % (4, 12) + "}", bytes(12)),
    "bytes that no tensor has": tensors_file('{"a":' + ONE % (0, 8) + "}", bytes(99)),
    "an unknown dtype": tensors_file('{"a":{"dtype":"OBJ","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
    "10^12 elements in 8 bytes": tensors_file(
        '{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,8]}}', bytes(8)
    ),
    "deep nesting": tensors_file("[" * 5000 + "]" * 5000, b""),
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("content", BAD_TENSORS.values(), ids=BAD_TENSORS)
@pytest.mark.parametrize("names", [None, ("a",)], ids=["all", "one"])
def test_a_bad_file_of_tensors_is_not_served(store: Store, content: bytes, names):
    """It is what its name says, so no disk has spoilt it: to make it again would be of no use."""
    sha256 = planted(store, content)
    with pytest.raises(StorageError, match="nothing was moved") as caught:
        store.load_blob(sha256, names)
    assert not isinstance(caught.value, DamagedError)
    assert str(caught.value).isprintable()
    assert store.blob_path(sha256).read_bytes() == content
    assert not list((store.root / "quarantine").iterdir())


def test_a_tensor_that_is_not_there_is_an_error(store: Store):
    with pytest.raises(StorageError, match="nothing was moved"):
        store.load_blob(store.put_blob({"a": torch.zeros(2)}), ("b",))


LINEAR = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"weight": torch.ones(3, 2)}, id="another shape"),
        pytest.param({"weight": torch.ones(2, 1)}, id="a shape that would broadcast"),
        pytest.param({"weight": torch.ones(2, 3, dtype=torch.float64)}, id="another dtype"),
        pytest.param({"weight": torch.ones(2, 3, dtype=torch.int64)}, id="whole numbers"),
        pytest.param({"weight": None}, id="a name too few"),
        pytest.param({"extra": torch.ones(1)}, id="a name too many"),
    ],
)
def test_weights_of_other_names_shapes_or_dtypes_are_refused(change):
    model = torch.nn.Linear(3, 2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors = {name: tensor for name, tensor in {**LINEAR, **change}.items() if tensor is not None}
    with pytest.raises(ComponentError, match="do not fit the model"):
        load_weights(model, tensors, "the weights")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    load_weights(model, LINEAR, "the weights")
    assert bool((model.weight == 1).all())


@pytest.mark.parametrize("extension", ["pt", "pkl", "safetensors", "json", "bin", "npy", "npz", "py", "toml"])
def test_a_pickle_is_opened_nowhere(store: Store, tmp_path: Path, extension: str):
    """In every place that is read: as object, blob, measurement, failure, record, plugin, suite."""
    canary = tmp_path / "canary"
    content = pickle.dumps(Canary(canary))
    file = tmp_path / f"data.{extension}"
    file.write_bytes(content)
    key = canonical.digest(extension)
    places = [
        store.object_path(key),
        store.measured_path(key),
        store.root / "attempts" / key / f"0.{extension}",
        store.root / "attempts" / key / "1.json",
    ]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    assert store.get(key) is None
    assert (store.measured(key), store.attempts(key)) == ({}, [])
    with pytest.raises(StorageError):
        store.load_blob(planted(store, content))
    for read in (TrialRecord.from_file, load):
        with pytest.raises(UsageError):
            read(file)
    if extension == "py":
        named = tmp_path / "benchbias:data.py"
        named.write_bytes(content)
        with pytest.raises(UsageError, match="must have no colon"):
            discover([named])
        assert load_registry([file], quiet=True).broken["data.py"].reason
    else:
        with pytest.raises(UsageError, match="not a Python file"):
            discover([file])
    assert not canary.exists()
    pickle.loads(content)
    assert canary.exists(), "the canary would have sung"


# --- nothing is written outside the results folder


@pytest.mark.parametrize("name", FOLDERS)
def test_a_results_folder_with_a_link_for_a_folder_is_refused(tmp_path: Path, name: str):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / name).symlink_to(outside)
    with pytest.raises(StorageError, match="leads out of the results folder"):
        Store(tmp_path / "results").create()
    assert list(outside.iterdir()) == []


def writes(store: Store, key: str):
    return {
        "objects": lambda: store.put(key, {"x": 1}, {}, {}),
        "blobs": lambda: store.put_blob({"a": torch.zeros(2)}),
        "measured": lambda: store.put_measured(key, {}),
        "attempts": lambda: store.put_attempt(key, {}),
        "records": lambda: store.replace(store.root / "records" / "mine" / "x.json", "{}"),
        "leaderboards": lambda: store.replace(store.root / "leaderboards" / "x.md", "text"),
        "claims": lambda: store.claim(key).__enter__(),
    }


@pytest.mark.parametrize("name", ["objects", "blobs", "measured", "attempts", "records", "leaderboards", "claims"])
def test_a_link_planted_inside_the_results_folder_is_not_followed(store: Store, tmp_path: Path, name: str):
    outside = tmp_path / "outside"
    outside.mkdir()
    precious = outside / "precious"
    precious.write_text("precious")
    key = canonical.digest({"x": 1})
    act = writes(store, key)[name]
    if name == "leaderboards":  # a link for the file itself is replaced, not followed
        (store.root / name / "x.md").symlink_to(precious)
        act()
        assert (store.root / name / "x.md").read_text() == "text"
    elif name == "claims":
        (store.root / name / key).symlink_to(outside / "new")
        with pytest.raises(StorageError):
            act()
    else:
        sub = {"attempts": key, "records": "mine"}.get(name)
        for part in [sub] if sub else [f"{number:02x}" for number in range(256)]:
            (store.root / name / part).symlink_to(outside)
        with pytest.raises(StorageError, match="leads out of the results folder"):
            act()
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("everything", [False, True])
def test_clean_follows_no_link(store: Store, tmp_path: Path, everything: bool):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    for name in ("plans", "quarantine", "attempts", "tmp"):
        (store.root / name / "link").symlink_to(outside if name != "tmp" else outside / "precious")
    clean_results(store.root, everything=everything, quarantine=True, failures=True)
    assert (outside / "precious").read_text() == "precious"


# --- names and texts

NASTY = [
    *(
        "../x",
        "a/b",
        "/etc/x",
        "..",
        ".",
        "",
        "a\\b",
        "a\x00b",
        "a\nb",
        "\x1b[31mred",
        "\u202ea",
        "a\u200bb",
        "x" * 100,
    ),
    *("<b>", "<script>alert(1)</script>", "[x](javascript:alert(1))", "a|b", "`a`", "a b", "-x", "x\n", "é"),
]


@pytest.mark.parametrize("name", NASTY)
def test_a_component_of_such_a_name_is_refused(name: str):
    with pytest.raises(UsageError) as caught:
        describe("trainer", name, lambda model, data, context: None)
    assert str(caught.value).isprintable()


METHOD = """
schema = 1
[methods.odd]
stages = [{{ train = "erm", recipe = {{ epochs = "${0}" }} }}]
{1} = {{ {0} = {2} }}
"""


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize(("kind", "value"), [("parameters", "1"), ("sweep", "[1]")])
def test_a_parameter_of_such_a_name_is_refused(tmp_path: Path, name: str, kind: str, value: str):
    path = tmp_path / "own.toml"
    quoted = json.dumps(name)
    text = METHOD.format("NAME", kind, value).replace('"$NAME"', json.dumps(f"${name}")).replace("NAME", quoted)
    path.write_text(text)
    with pytest.raises(UsageError, match=f"methods.odd.{kind}") as caught:
        load(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["\x1b[31mred", "\u202ea", "a\nb", "a\x00b", "\u2066x\u2069", "x" * 201])
@pytest.mark.parametrize("key", ["title", "version"])
def test_a_title_that_could_draw_on_a_terminal_is_refused(tmp_path: Path, key: str, text: str):
    path = tmp_path / "own.toml"
    table = {"title": "t", "version": "1", "rank_by": "accuracy"} | {key: text}
    lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
    rest = 'tasks = ["colored-digits"]\nmethods = ["erm"]\nseeds = 1\nmetrics = ["accuracy"]'
    path.write_text("schema = 1\n[suites.own]\n" + "\n".join([*lines, rest]))
    with pytest.raises(UsageError, match=f"suites.own.{key}"):
        load(path)


SWEPT = """
schema = 1
[suites.own]
title = "<b>[x](javascript:alert(1))</b>"
version = "1"
tasks = ["colored-digits-tiny"]
methods = ["odd"]
seeds = 1
metrics = ["accuracy"]
rank_by = "accuracy"
[methods.odd]
stages = [{ train = "erm" }, { prune = "magnitude", sparsity = 0.5, layers = "$layers" }]
sweep = { layers = ["\\u001b[31m\\u202e../../x<b>\\u0007"] }
"""


VERBS = [("ls", "suites"), ("show", "odd"), ("show", "own"), ("plan", "-s", "own"), ("status", "-s", "own")]


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_draws_on_a_terminal(tmp_path: Path, cli, verb):
    (tmp_path / "own.toml").write_text(SWEPT)
    done = cli(*verb, "--config", "own.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(line.isprintable() for line in (done.stdout + done.stderr).split("\n"))
    assert "odd" in done.stdout or "own" in done.stdout


@pytest.mark.parametrize("reason", ["x" * 10**6, "\x1b[31m\u202e", "\ud800", "a\x85b"])
def test_whatever_a_component_raises_becomes_a_record_that_can_be_read(tmp_path: Path, reason: str):
    """In the worker as it is: the failure is noted, its record is written and read again."""
    from types import SimpleNamespace

    from benchbias.engine import worker
    from benchbias.engine.blame import Blame
    from benchbias.runner.failures import last_failure

    store = Store(tmp_path / "results").create()
    stage = {"label": "train odd, seed 0", "plugins": ["odd"], "inputs": {}}
    key = "0" * 64
    assert worker._note_failure(store, stage, key, RuntimeError(reason), Blame(print)) == worker.FAILED
    found = last_failure(store, SimpleNamespace(key=key, label=stage["label"]))
    assert found is not None
    suite = SimpleNamespace(
        title="t", version="1", rank_by="accuracy", reference=None, ceiling=None, metrics=["accuracy"]
    )
    method = SimpleNamespace(ranked=True, baseline=None)
    plan = SimpleNamespace(suite="own", table=suite, methods={"odd": method}, limit=None, stages={})
    trial = SimpleNamespace(id=key, task="toy", method="odd", swept={}, settings={}, seed=0, track="labels-none",
                            settings_from="default", blocked=None, stages=(key,), everything=(key,))  # fmt: skip
    record = make_record(plan, trial, store, {key: found})
    assert record is not None
    path = tmp_path / f"{key}.json"
    path.write_text(record.to_text())
    told = TrialRecord.from_file(path).body["reason"]
    assert told.isprintable()
    assert told.startswith("RuntimeError")
    assert len(told) <= 2000
