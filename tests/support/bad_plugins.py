"""Text of a plugin that misbehaves in every way of the list, in every kind of component, and the tables that run it."""

from __future__ import annotations

import json

KINDS = ("dataset", "model", "trainer", "pruner", "inner")  # inner: a pruner inside a train stage; metrics stand apart

FAULTS = """
import ctypes, os, random, signal, sys, threading, time
import benchbias


def raises():
    raise RuntimeError("boom \\x1b[31m\\nand a second line")

def interrupts():
    raise KeyboardInterrupt

def leaves_0():
    sys.exit(0)

def leaves_3():
    sys.exit(3)

def ends_0():
    os._exit(0)

def ends_74():
    os._exit(74)  # by which a worker says that it could not write

def segfaults():
    ctypes.string_at(0)

def hangs():
    time.sleep(600)

def stubborn():
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    os.setpgid(0, os.getpgid(os.getppid()))
    time.sleep(600)

def grows():
    held = []
    while len(held) < 128:
        held.append(bytearray(b"x") * (32 << 20))
        time.sleep(0.01)
    time.sleep(600)

def floods(done=[]):
    if done:  # one is enough where a pruner is asked again and again
        return
    done.append(True)
    for number in range(3 * 16):
        os.write(1, b"\\x1b[2J\\x07\\xff{}\\n" * (1 << 13))
    os.write(1, b"the last words\\n")

def daemonises(done=[]):
    if done:
        return
    done.append(True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    os.wait()

def threads():
    threading.Thread(target=time.sleep, args=(600,)).start()

def seeds():
    import numpy, torch
    torch.manual_seed(1), numpy.random.seed(1), random.seed(1)

def flags():
    import torch
    torch.use_deterministic_algorithms(False)
    torch.backends.mkldnn.enabled = False

def environment():
    os.environ.clear()
    os.environ["PYTHONHASHSEED"] = "nonsense"

def moves():
    os.chdir("/")
    os.umask(0o777)

def patches():
    import torch
    torch.optim.AdamW.step = lambda *args, **kwargs: None

def closes():
    os.closerange(0, 3)

def nothing():
    pass

wrong_type = wrong_shape = nan = mutates = lies = nothing  # what the component itself does


def stripes(seed):
    # bright columns left or right (the class), in the first or second channel (the attribute); imports little
    import torch
    draw = torch.Generator().manual_seed(seed)
    def part(name, number):
        index = torch.arange(number)
        labels, colours = index % 2, torch.where(index % 10 < 8, index % 2, 1 - index % 2)
        images = torch.randint(0, 160, (number, 3, 8, 8), generator=draw, dtype=torch.uint8)
        for place in range(number):
            left = 4 * int(labels[place])
            images[place, int(colours[place]), :, left : left + 4] += 90
        groups = benchbias.GroupLabels.of(labels, colours, labels == colours, 2, ("red", "green"))
        return benchbias.LabelledSplit(benchbias.Split(images, labels, 2, name), groups, index)
    return benchbias.BiasedDataset(
        splits={"train": part("train", 200), "val": part("val", 40), "test": part("test", 40)},
        mean=(0.5,) * 3, std=(1.0,) * 3, source="drawn here", licence="none", augmentations=("none", "shift"),
    )

def dataset(name, fault):
    def call(root, seed):
        import dataclasses
        fault()
        made = stripes(seed)
        if name == "wrong_type":
            return 7
        if name == "nan":
            return dataclasses.replace(made, mean=(float("nan"),) * 3)
        if name == "wrong_shape":
            part = made.splits["train"]
            flat = dataclasses.replace(part.split, images=part.split.images[0])
            return dataclasses.replace(made, splits={**made.splits, "train": dataclasses.replace(part, split=flat)})
        return made
    return call

def model(name, fault):
    def call(input_shape, num_classes):
        import torch
        from benchbias_plugins.networks.lenet import lenet_small
        fault()
        made = lenet_small(input_shape, num_classes + (name == "wrong_shape"), width=0.25)
        if name == "nan":
            torch.nn.init.constant_(made.fc1.weight, float("nan"))
        return 7 if name == "wrong_type" else made
    return call

def trainer(name, fault):
    def call(model, data, context):
        import torch
        fault()
        if name == "mutates":
            data.train.images.zero_(), data.val.labels.zero_()
        context.fit(model, data)
        if name == "wrong_shape":
            model.fc3 = torch.nn.Linear(model.fc3.in_features, 3)
        if name in ("nan", "lies"):
            for weight in model.parameters():
                torch.nn.init.constant_(weight, float("nan") if name == "nan" else 1.0)
        return 7
    return call

def pruner(name, fault):
    def call(model, data, context):
        import torch
        fault()
        scores = {key: weight.detach().abs().clone() for key, weight in context.prunable(model).items()}
        if name == "mutates":
            for weight in model.parameters():
                torch.nn.init.constant_(weight, 7.0)
            for weight in context.weights.values():
                weight.fill_(7.0)
            data.val.images.zero_()
        if name == "wrong_type":
            return 7
        if name == "wrong_shape":
            return {key: value.flatten()[:-1] for key, value in scores.items()}
        if name == "nan":
            return {key: value * float("nan") for key, value in scores.items()}
        if name == "lies":
            return benchbias.Mask({key: torch.ones_like(value, dtype=torch.bool) for key, value in scores.items()})
        return scores
    return call

def metric(name, fault):
    def call(predictions):
        import torch
        fault()
        value = float(predictions.correct.double().mean())
        if name == "mutates":
            predictions.logits.zero_(), predictions.labels.fill_(1)
        return {"wrong_type": "0.5", "wrong_shape": torch.ones(2), "nan": float("nan")}.get(name, value)
    return call

NAMES = (
    "raises interrupts leaves_0 leaves_3 ends_0 ends_74 segfaults hangs stubborn grows floods daemonises threads seeds "
    "flags environment moves patches closes nothing wrong_type wrong_shape nan mutates lies"
).split()

def table(kind, make):
    return {f"{name}_{kind}": make(name, globals()[name]) for name in NAMES}

@benchbias.hookimpl
def benchbias_datasets():
    return table("dataset", dataset)

@benchbias.hookimpl
def benchbias_models():
    return table("model", model)

@benchbias.hookimpl
def benchbias_trainers():
    return table("trainer", trainer)

@benchbias.hookimpl
def benchbias_pruners():
    return table("pruner", pruner) | table("inner", pruner)

@benchbias.hookimpl
def benchbias_metrics():
    return table("metric", metric)
"""

DEATHS = {  # fault -> what the reason says
    "raises": "RuntimeError: boom",
    "interrupts": "KeyboardInterrupt",
    "leaves_0": "SystemExit: 0",
    "leaves_3": "SystemExit: 3",
    "ends_0": "exit code 0",
    "ends_74": "exit code 74",
    "segfaults": "signal 11",
    "hangs": "--timeout",
    "stubborn": "--timeout",
    "grows": "--memory",
}
QUIET = (
    *("floods", "daemonises", "threads", "seeds", "flags", "environment", "moves", "patches", "closes", "nothing"),
)
WRONG = {  # (fault, kind) -> what the reason says
    ("wrong_type", "dataset"): "not int",
    ("wrong_type", "model"): "not an nn.Module",
    ("wrong_type", "pruner"): "not int",
    ("wrong_type", "inner"): "not int",
    ("wrong_type", "metric"): "not a float",
    ("wrong_shape", "dataset"): "images must be uint8",
    ("wrong_shape", "model"): "answers with the shape",
    ("wrong_shape", "trainer"): "other names or shapes",
    ("wrong_shape", "pruner"): "shape",
    ("wrong_shape", "inner"): "shape",
    ("wrong_shape", "metric"): "not a float",
    ("nan", "dataset"): "not JSON compliant",
    ("nan", "model"): "not finite",
    ("nan", "trainer"): "not finite",
    ("nan", "pruner"): "not all finite",
    ("nan", "inner"): "not all finite",
}
HARMLESS = [
    ("wrong_type", "trainer"),  # nobody reads what it returns
    ("nan", "metric"),  # undefined
    *((name, kind) for name in ("mutates",) for kind in ("trainer", "pruner", "inner", "metric")),
    *((name, kind) for name in ("lies",) for kind in ("trainer", "pruner", "inner")),
]
ONE_OF_A_KIND = {"grows": ("dataset", "trainer", "metric")}  # it is the memory of one machine


def failing() -> dict[tuple[str, str], str]:
    """(fault, kind) -> what the reason of its trial says."""
    deaths = {
        (name, kind): said for name, said in DEATHS.items() for kind in ONE_OF_A_KIND.get(name, (*KINDS, "metric"))
    }
    return deaths | WRONG


def working() -> list[tuple[str, str]]:
    """(fault, kind) of the trials that are scored all the same."""
    return [*((name, kind) for name in QUIET for kind in (*KINDS, "metric")), *HARMLESS]


def method_of(fault: str, kind: str) -> str:
    """The method that has this component."""
    return f"{fault}-{kind}".replace("_", "-")


CUT = 'sparsity = 0.5, layers = "!head"'


def _method(kind: str, use: str, fault: str) -> str:
    erm = '{ train = "erm" }'
    if fault == "lies" and kind == "trainer":
        return f'stages = [{erm}, {{ prune = "nothing_pruner", {CUT} }}, {{ train = "{use}" }}]'
    return {
        "dataset": f'dataset = {{ use = "{use}" }}\nstages = [{erm}]',
        "model": f'model = {{ use = "{use}" }}\nstages = [{erm}]',
        "trainer": f'stages = [{{ train = "{use}" }}]',
        "pruner": f'stages = [{erm}, {{ prune = "{use}", {CUT} }}, {erm}]',
        "inner": f'stages = [{{ train = "erm", prune = {{ use = "{use}", {CUT}, every = 4 }} }}]',
    }[kind]


TASK = """[tasks.stripes]
dataset = { use = "nothing_dataset" }
model = { use = "lenet_small", width = 0.25 }
recipe = { epochs = 2, batch_size = 20, optimizer = "adamw", lr = 3e-3, schedule = "constant" }"""

CLEAN = ("erm", *(method_of("nothing", kind) for kind in KINDS))


def tables() -> str:
    """One suite of all components that are bad in a stage of a method, and one for each bad metric."""
    cases = [case for case in (*failing(), *working()) if case[1] != "metric"]
    lines = ["schema = 1", TASK, *_suite("bad", ["erm", *(method_of(*case) for case in cases)], ["accuracy"])]
    for fault, kind in (*failing(), *working()):
        if kind == "metric":
            lines += _suite(method_of(fault, kind), ["erm"], ["accuracy", f"{fault}_metric", "worst_class_accuracy"])
        else:
            lines += [f"[methods.{method_of(fault, kind)}]", _method(kind, f"{fault}_{kind}", fault)]
    return "\n".join(lines) + "\n"


def _suite(name: str, methods: list[str], metrics: list[str]) -> list[str]:
    return [
        f"[suites.{name}]",
        'title = "Components that misbehave"\nversion = "1"\ntasks = ["stripes"]\nseeds = 1',
        f"methods = {json.dumps(methods)}\nmetrics = {json.dumps(metrics)}",
        'rank_by = "accuracy"',
    ]
