"""The base of all stages: a job with its inputs, the products of its parents, models and data made from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from benchbias.data.values import GroupLabels, Split, TrainingData
from benchbias.errors import ComponentError, DamagedError
from benchbias.network.weights import load_state
from benchbias.sparse.masks import Mask
from benchbias.stages.seeding import generator, seed_everything
from benchbias.store.store import Product, Store
from benchbias.suite.tables import Recipe
from benchbias.util.stamps import stamp_of

Components = Mapping[tuple[str, str], Callable[..., Any]]


@dataclass(frozen=True)
class Made:
    """The return value of a stage function: the body, and tensors by blob name. The core stores them."""

    body: Mapping[str, Any]
    blobs: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


class Trainings(Protocol):
    """The place where a stage of a stack has its trainings done: `benchbias.training.baton.Together`."""

    most: int
    why: str

    def fit(self, member: Any) -> Any: ...


@dataclass(frozen=True)
class Job:
    """One stage to run: its inputs, those of all stages (by key), its components, and the store.

    shared: what the stages of one process hand on to each other, by name; nobody changes a value in it. together: where
    a stage of a stack has its trainings done; None for any other stage.
    """

    store: Store
    inputs: Mapping[str, Any]
    all_inputs: Mapping[str, Mapping[str, Any]]
    components: Components
    device: torch.device
    data_root: Path
    shared: dict[str, Any] = field(default_factory=dict)
    together: Trainings | None = None

    @property
    def seed(self) -> int:
        return int(self.inputs["seed"])

    @property
    def on_card(self) -> bool:
        """Whether the stage computes on a card."""
        return self.device.type == "cuda"

    @property
    def parents(self) -> Mapping[str, str]:
        parents: Mapping[str, str] = self.inputs["parents"]
        return parents

    def product(self, role: str) -> Product:
        """The product of the parent in a role, read once by the stages of a process.

        Without the layout of the test split, which has the cluster and the group of each of its examples: the process
        of a method holds none of that. Records have it from the store.
        """
        place = f"product:{self.parents[role]}"
        if place not in self.shared:
            product = self.store.get(self.parents[role])
            if product is None:
                raise DamagedError(f"the product of the {role} stage is gone; run again to make it anew")
            body = {name: value for name, value in product.body.items() if name != "layout"}
            self.shared[place] = Product(body, product.blobs)
        found: Product = self.shared[place]
        return found

    def blob(self, role: str, name: str, tensors: tuple[str, ...] | None = None) -> dict[str, Tensor]:
        """Tensors of one blob of a parent's product; its sum is checked once by the stages of a process.

        It is checked again where the file is another one since, or was written to.
        """
        sha256 = self.product(role).blobs[name]
        place, stamp = f"whole:{sha256}", stamp_of(self.store.blob_path(sha256))
        found = self.store.load_blob(sha256, tensors, whole=stamp is not None and self.shared.get(place) == stamp)
        self.shared[place] = stamp
        return found

    def call(self, kind: str, arguments: Mapping[str, Any]) -> Any:
        """Call the stage's component with what it declares of `arguments`, and with its options."""
        spec = self.inputs["component"]
        return call_component(self.components[kind, spec["name"]], arguments, spec["options"])

    def groups(self, role: str, split: str) -> GroupLabels:
        """The group labels of a split: only ever called for a component that declares them, or for the core."""
        body = self.product(role).body
        tensors = self.blob(role, f"{split}-groups")
        names = tuple(body["group_names"])
        groups = tensors["labels"] * body["num_attributes"] + tensors["attributes"]
        return GroupLabels(tensors["attributes"], groups, tensors["aligned"].bool(), body["num_attributes"], names)

    def split(self, role: str, name: str) -> Split:
        """The images and labels of a split, on the device."""
        tensors = self.blob(role, name)
        num_classes = int(self.product(role).body["num_classes"])
        return Split(placed(tensors["images"], self.device), tensors["labels"].to(self.device), num_classes, name)

    def training_data(self, recipe: Recipe) -> TrainingData:
        """Train and validation, no test, no groups. Raises ComponentError for an augmentation not allowed."""
        body = self.product("data").body
        if recipe.augment not in body["augmentations"]:
            known = ", ".join(body["augmentations"])
            raise ComponentError(f"augment = {recipe.augment!r} does not fit this data set (known: {known})")
        return TrainingData(
            self.split("data", "train"),
            self.split("data", "val"),
            tuple(body["mean"]),
            tuple(body["std"]),
            recipe.batch_size,
            recipe.augment,
            generator(self.seed, "augment"),
        )

    def fresh_model(self) -> nn.Module:
        """The trial's model as its factory makes it, on the device."""
        init = self.parents.get("init")
        inputs = self.all_inputs[init] if init else self.inputs
        body = self.product("data").body
        given: dict[str, Any] = {"input_shape": tuple(body["input_shape"]), "num_classes": body["num_classes"]}
        given["root"] = self.data_root
        if "backbone" in inputs:
            backbone = inputs["backbone"]
            factory = self.components["model", backbone["name"]]
            given["backbone"] = functools.partial(call_changed, factory, dict(given), backbone)
        spec = inputs["component"]
        seed_everything(self.seed, "init")
        model = call_component(self.components["model", spec["name"]], given, spec["options"])
        if not isinstance(model, nn.Module):
            raise ComponentError(f"model {spec['name']!r} returned {type(model).__name__}, not an nn.Module")
        seed_everything(self.seed)
        return model.to(self.device)

    def model(self, role: str) -> nn.Module:
        """The trial's model with the weights of a parent's product."""
        model = self.fresh_model()
        load_weights(model, self.blob(role, "weights"), f"the weights of the {role} stage")
        return model

    def mask(self, role: str) -> Mask | None:
        """The mask that a parent's product holds; None without such a parent."""
        if role not in self.parents:
            return None
        tensors = self.blob(role, "mask")
        body = self.product(role).body
        attached = set(body["attached"])
        return Mask(
            {name: tensor for name, tensor in tensors.items() if name not in attached},
            units=body["units"],
            attached={name: tensor for name, tensor in tensors.items() if name in attached},
        )

    def earlier(self) -> dict[str, Tensor]:
        """Everything that the earlier stages of the trial saved, later ones over older ones."""
        found: dict[str, Tensor] = {}
        for role in ("start", "model", "before", "mask", "auxiliary"):
            if role in self.parents and "saved" in self.product(role).blobs:
                found |= self.blob(role, "saved")
        return found

    def label_access(self, declared: Sequence[str]) -> dict[str, GroupLabels]:
        """The group labels that a component declares, of `train_groups` and `val_groups`, on the device."""
        found = {name: self.groups("data", name.removesuffix("_groups")) for name in declared}
        return {name: labels.to(self.device) for name, labels in found.items()}


def placed(images: Tensor, device: torch.device) -> Tensor:
    """Images on the device where they take at most half of this process's part of its memory; else as they are, mapped.

    Then they are copied by batch. What is free now decides nothing: two workers of a card would both count on it. On
    the CPU they stay mapped from their file: what is read takes no memory of its own.
    """
    if device.type != "cuda":
        return images.to(device)
    _, total = torch.cuda.mem_get_info(device)
    part = torch.cuda.get_per_process_memory_fraction(device)  # the engine sets it by the workers of a card
    return images.to(device) if images.nbytes <= total * part / 2 else images


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Put weights into a model. Raises ComponentError where names, shapes or dtypes are not the model's own."""
    own = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()}
    given = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    odd = sorted(name for name in own.keys() | given.keys() if own.get(name) != given.get(name))
    if odd:
        one = odd[0]
        raise ComponentError(f"{what} do not fit the model: {one!r} is {given.get(one)}, not {own.get(one)}")
    load_state(model, tensors)


def mask_body(mask: Mask) -> dict[str, Any]:
    """The mask as a product's body tells of it: kept and total weights by name."""
    return {
        "units": mask.units,
        "attached": sorted(mask.attached),
        "kept": mask.counts(),
        "total": {name: tensor.numel() for name, tensor in mask.tensors.items()},
    }


def mask_blob(mask: Mask) -> dict[str, Tensor]:
    """A mask as tensors to store."""
    return {**mask.tensors, **mask.attached}


def call_component(component: Callable[..., Any], given: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Call a component with those of `given` that it declares before `*`, and with its options after it."""
    import inspect

    parameters = inspect.signature(component).parameters
    wanted = [given[name] for name, p in parameters.items() if p.kind is not p.KEYWORD_ONLY]
    return component(*wanted, **{name: _tuples(value) for name, value in options.items()})


def call_changed(
    component: Callable[..., Any], given: Mapping[str, Any], spec: Mapping[str, Any], **changes: Any
) -> Any:
    """Call a component as `spec` says (name, options), but for the changes. Raises ComponentError for unknown ones."""
    options = spec["options"]
    for name in changes:
        if name not in options:
            known = ", ".join(options) or "none"
            raise ComponentError(f"the task's model {spec['name']!r} has no option {name!r} (it has: {known})")
    return call_component(component, given, {**options, **changes})


def _tuples(value: Any) -> Any:
    """Options travel as JSON lists; a component is given tuples."""
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


Form = tuple[tuple[int, ...], torch.dtype]


def shapes_of(model: nn.Module) -> dict[str, Form]:
    """The shape and the dtype of every tensor that a model is stored by."""
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()}


def check_shapes(model: nn.Module, shapes: Mapping[str, Form], what: str) -> None:
    """Raises ComponentError where a model is no longer the one that its factory makes."""
    now = shapes_of(model)
    bad = sorted(n for n in {*now, *shapes} if n not in now or n not in shapes or now[n][0] != shapes[n][0])
    if bad:
        raise ComponentError(f"{what} left weights of other names or shapes: {', '.join(bad)}")
    bad = sorted(name for name, (_, dtype) in now.items() if dtype != shapes[name][1])
    if bad:
        kinds = ", ".join(sorted({str(now[name][1]).removeprefix("torch.") for name in bad}))
        raise ComponentError(f"{what} left weights of another dtype ({kinds}): {', '.join(bad)}")


def check_finite(model: nn.Module, before: Mapping[str, Tensor], what: str) -> None:
    """Raises ComponentError where a weight is not finite: a diverged run has no score.

    before: what the model was stored by. A buffer may keep what it had (a causal mask is infinite), and get no more.
    """
    weights = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    now = model.state_dict()
    bad = [name for name, tensor in now.items() if name in weights and not bool(torch.isfinite(tensor).all())]
    if bad:
        raise ComponentError(f"{what} left weights that are not finite: {', '.join(bad)}")
    was = {name: torch.isfinite(before[name]) for name in now if name not in weights}
    new = [name for name, finite in was.items() if bool((finite & ~torch.isfinite(now[name]).cpu()).any())]
    if new:
        raise ComponentError(f"{what} left buffers that are no longer finite: {', '.join(new)}")


def changed(model: nn.Module, before: Mapping[str, Tensor], mask: Mask | None) -> bool:
    """Whether a parameter of a model is another than in `before`, but for what the mask removes."""
    held = {**mask.tensors, **mask.attached} if mask is not None else {}
    for name, parameter in model.named_parameters():
        now, old = parameter.detach().cpu(), before[name]
        if not torch.equal(now, old * held[name] if name in held else old):
            return True
    return False
