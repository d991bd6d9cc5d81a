"""Networks and images to the values of an audit: `answers_of_models`, which the command line and Python call.

    models = model_spec("dense.safetensors", ["pruned.pth"], model="resnet18")
    images = ImageSpec("photos", table=Path("labels.csv"), attributes=("sex",))
    look = LookSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), resize=256, size=224)
    answers, facts = answers_of_models(models, images, look, RunSpec())

A second call with the same files computes nothing: logits are kept by all that decides them (`RunSpec.cache`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchbias.auditing.models.answering import PROBED, Batches, logits_of, probed
from benchbias.auditing.models.builders import Fitting, architecture, is_plugin
from benchbias.auditing.models.cache import About, Cache, key_of
from benchbias.auditing.models.examples import Examples, class_order, label_numbers, opened_examples
from benchbias.auditing.models.looks import Look, look_of
from benchbias.auditing.models.measuring import latencies, machine, parameter_counts
from benchbias.auditing.models.networks import File, Network, file_of, is_factory, opened_network
from benchbias.auditing.models.pictures import FilePictures, digest
from benchbias.auditing.models.specs import ImageSpec, LookSpec, ModelSpec, RunSpec
from benchbias.auditing.tables.logits import answered, is_probabilities, is_whole, scores
from benchbias.auditing.tables.table import counted
from benchbias.auditing.values import DENSE, Answers, Facts, Warning
from benchbias.errors import DataError, UsageError
from benchbias.network.checkpoints import TABLELESS
from benchbias.util.progress import progress

if TYPE_CHECKING:
    from numpy.typing import NDArray


def answers_of_models(
    models: ModelSpec, images: ImageSpec, look: LookSpec, run: RunSpec, *, quiet: bool = False
) -> tuple[Answers, Mapping[str, Facts]]:
    """The answers of a dense network and of compressed ones on the same images, and the facts of each.

    facts: by name of model, the dense one's under DENSE. quiet: no progress on standard error. Every image is prepared
    once and the same way for all networks. Raises DataError and UsageError, one line each, before any statistic: for
    files that are missing, damaged or do not fit, for networks that are one file, answers that are no numbers or are
    random, labels of unknown order, and unknown preprocessing.
    """
    if run.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU on this machine (known here: cpu)")
    files = [None if source.file is None else file_of(source.file) for source in models.sources]
    _check_distinct(models, files)
    examples = opened_examples(images, upright=look.upright)
    told: list[str] = []
    used, look_notes = look_of(look, models.dense.model, examples.look, options=models.options, warn=told.append)
    batches, rows = _batches(examples, used, quiet=quiet)
    work = _Work(models, files, examples, batches, run, quiet)
    logits, about = work.found(images)
    answers = _assembled(models, images, examples, rows, logits)
    notes = (*examples.notes, *look_notes, *about.notes, *work.notes, *answers.notes)
    warnings = [
        *(Warning("preprocessing", text) for text in told),
        *(Warning("weights", one) for one in about.warnings),
    ]
    warnings += answers.warnings
    return replace(answers, notes=tuple(dict.fromkeys(notes)), warnings=tuple(dict.fromkeys(warnings))), about.facts


def _check_distinct(models: ModelSpec, files: Sequence[File | None]) -> None:
    """Raises DataError where a compressed network is the dense one: the same bytes of the same model."""
    for source, file in zip(models.compressed, files[1:], strict=True):
        same = file is not None and files[0] is not None and file.sha256 == files[0].sha256
        if same and (source.model, source.table) == (models.dense.model, models.dense.table):
            raise DataError(f"{source.file} has the same bytes as {models.dense.file}: nothing is compared")


def _batches(examples: Examples, look: Look, *, quiet: bool) -> tuple[Batches, NDArray[Any]]:
    """The distinct images, in an order that no table decides, and the place among them of each example, int (N,)."""
    pictures = examples.pictures
    numbers = range(len(pictures))
    steps = numbers if quiet else progress(numbers, len(pictures), "reading images")
    sums = [digest(pictures.content(number)) for number in steps]
    first: dict[bytes, int] = {}
    for number, value in enumerate(sums):
        first.setdefault(value, number)
    place = {value: row for row, value in enumerate(sorted(first))}
    rows = np.array([place[value] for value in sums], dtype=np.int64)
    return Batches(pictures, [first[value] for value in place], sums, look), rows


@dataclass
class _Work:
    """One audit's networks and images on the way to logits. notes: what is said of this run alone."""

    models: ModelSpec
    files: Sequence[File | None]
    examples: Examples
    batches: Batches
    run: RunSpec
    quiet: bool
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device = torch.device(self.run.device)
        self.cache = Cache(self.run.cache, self.notes.append)

    def found(self, images: ImageSpec) -> tuple[list[NDArray[Any]], About]:
        """The logits of each network on the distinct images, (M, K), and what else was found: kept, or made now."""
        places = range(len(self.files))
        networks = {place: self._open(place) for place in places if is_factory(self.models.sources[place])}
        keys = [self._key(place, networks.get(place)) for place in places]
        known = [None if key is None else self.cache.logits(key) for key in keys]
        named = [source.name for source in self.models.sources], [source.what for source in self.models.sources]
        whole = None if None in keys else key_of("about", keys, named, machine(self.device), self.run.measure)
        about = None if whole is None else self.cache.about(whole)
        if about is None or any(one is None for one in known):
            opened = [networks.get(place) or self._open(place) for place in places]
            notes = self._looked_at(opened, images)
            start = time.perf_counter()
            self._run(opened, known, keys)
            facts = self._facts(opened, time.perf_counter() - start)
            about = About(facts, (*notes, *self._odd()), tuple(text for one in opened for text in one.warnings))
            if whole is not None:
                self.cache.keep_about(whole, about)
        found = [one for one in known if one is not None]
        self._check_outputs([one.shape[1] for one in found])
        return found, about

    def _open(self, place: int) -> Network:
        return opened_network(self.models.sources[place], self.models, self.batches.shape, self.device)

    def _key(self, place: int, opened: Network | None) -> str | None:
        """The name of a network's logits on these images; None where it is not known what would decide them."""
        source, file, sums = self.models.sources[place], self.files[place], self.batches.sums
        identity: str | None = ""
        if opened is not None:
            identity = opened.identity
        elif source.model is not None and not source.is_whole and is_plugin(source.model):
            fitting = Fitting(self.batches.shape, self.models.options, self.models.plugins)
            identity = architecture(source.model, fitting).identity
        if identity is None:
            self.notes.append(f"the answers of {source.what} are not kept: it is not known when it is another network")
            return None
        return key_of(
            *("logits", None if file is None else file.sha256, source.model, source.table, dict(self.models.options)),
            *(identity, [sums[number].hex() for number in self.batches.numbers], asdict(self.batches.look)),
            *(machine(self.device), self.run.batch_size),
        )

    def _looked_at(self, networks: Sequence[Network], images: ImageSpec) -> list[str]:
        """Notes on the networks after a first look at a few images. Raises DataError for those that cannot be used."""
        few = self.batches.first(PROBED).to(self.device)
        if networks[0].source.table and all(any(TABLELESS in note for note in one.notes) for one in networks):
            raise DataError(f"--weights-table {networks[0].source.table:.80}: no file here has inner tables")
        looked = [probed(network, few) for network in networks]
        self._check_outputs([outputs for outputs, _ in looked])
        label_numbers(self.examples, class_order(self.examples, images.classes, looked[0][0]))
        for network in networks[1:]:
            if _same_tensors(networks[0], network):
                first = networks[0].source.what
                raise DataError(f"every tensor of {network.source.what} equals that of {first}: nothing is compared")
        return [note for network, (_, notes) in zip(networks, looked, strict=True) for note in (*network.notes, *notes)]

    def _check_outputs(self, outputs: Sequence[int]) -> None:
        for source, count in zip(self.models.sources, outputs, strict=True):
            if count != outputs[0]:
                raise DataError(f"{self.models.dense.what} has {outputs[0]} outputs, {source.what} {count}")

    def _run(self, networks: Sequence[Network], known: list[NDArray[Any] | None], keys: Sequence[str | None]) -> None:
        """Fill in and keep the logits that are not known."""
        places = [place for place, one in enumerate(known) if one is None]
        if not places:
            return
        chosen = [networks[place] for place in places]
        made = logits_of(chosen, self.batches, self.device, self.run.batch_size, quiet=self.quiet)
        for place, logits in zip(places, made, strict=True):
            known[place] = logits
            key = keys[place]
            if key is not None:
                self.cache.keep(key, logits)

    def _odd(self) -> list[str]:
        pictures = self.examples.pictures
        return pictures.odd.notes(upright=pictures.upright) if isinstance(pictures, FilePictures) else []

    def _facts(self, networks: Sequence[Network], spent: float) -> dict[str, Facts]:
        """The facts of each network. spent: the seconds that their answers took."""
        few = self.batches.first(PROBED)
        times = latencies(networks, few, self.device, spent) if self.run.measure else [()] * len(networks)
        where = machine(self.device) if self.run.measure else None
        found = {}
        for place, (network, file, own) in enumerate(zip(networks, self.files, times, strict=True)):
            name = network.source.name if place else DENSE
            size, sha256 = (None, None) if file is None else (file.size, file.sha256)
            found[name] = Facts(size, *parameter_counts(network.module), own, where, sha256)
        return found


def _same_tensors(one: Network, two: Network) -> bool:
    """Whether two networks are of one model with equal tensors."""
    if one.module is None or two.module is None or one.source.model != two.source.model:
        return False
    if one.identity is not None and is_factory(one.source):
        return one.identity == two.identity
    first, second = one.module.state_dict(), two.module.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def _assembled(
    models: ModelSpec, images: ImageSpec, examples: Examples, rows: NDArray[Any], logits: Sequence[NDArray[Any]]
) -> Answers:
    """The values of an audit. Its notes are of the answers alone."""
    order = class_order(examples, images.classes, logits[0].shape[1])
    label = np.array(label_numbers(examples, order), dtype=np.int64)
    classes = tuple(sorted(order))
    codes = np.array([classes.index(name) for name in order], dtype=np.int64)
    answers, sure, notes = {}, {}, []
    for source, found in zip(models.sources, logits, strict=True):
        name = DENSE if source is models.dense else source.name
        own = answered(found, source.name, str)
        answers[name] = codes[own.at][rows]
        if own.ties:
            tied = "1 image has" if own.ties == 1 else f"{own.ties} images have"
            notes.append(f"{source.name}: {tied} two largest logits that are equal; the first is taken")
        if name != DENSE and np.array_equal(found, logits[0]):
            notes.append(f"{source.name} gives exactly the logits of {models.dense.name} on every image")
        if is_whole(found) and found.max(initial=0) > 1:
            notes.append(f"the logits of {source.name} are whole numbers of unknown scale: they give no probabilities")
        else:
            values, reference = found[rows], None if name == DENSE or DENSE not in sure else logits[0][rows]
            sure[name] = scores(values, label, reference=reference)
            if is_probabilities(found):
                notes.append(f"{source.name} gives probabilities, not logits")
    dense = answers.pop(DENSE)
    cluster, more = _clusters(examples, rows)
    warnings = _two_labels(examples, rows, label)
    return Answers(
        classes=classes,
        label=codes[label],
        dense=dense,
        compressed=dict(sorted(answers.items())),
        attributes=dict(sorted(examples.attributes.items())),
        cluster=cluster,
        ids=examples.ids,
        images=examples.files,
        scores=sure,
        dense_name=models.dense.name,
        notes=(*notes, *more),
        warnings=warnings,
    )


def _two_labels(examples: Examples, rows: NDArray[Any], label: NDArray[Any]) -> tuple[Warning, ...]:
    """The stop for images of the same bytes that have different labels: one of these is wrong."""
    first: dict[int, int] = {}
    pairs = [(first.setdefault(int(row), place), place) for place, row in enumerate(rows)]
    odd = [(one, other) for one, other in pairs if label[one] != label[other]]
    if not odd:
        return ()
    one, other = odd[0]
    more = f" (and {counted(len(odd) - 1, 'more such pair')})" if len(odd) > 1 else ""
    told = [f"{examples.pictures.where(place)} is labelled {examples.labels[place]!r:.80}" for place in (one, other)]
    return (Warning("two-labels", f"one image has two labels: {', and '.join(told)}{more}: correct the table"),)


def _clusters(examples: Examples, rows: NDArray[Any]) -> tuple[NDArray[Any] | None, list[str]]:
    """The clusters that the table names, or else the copies of one image, if there are any."""
    if examples.cluster is not None:
        return np.unique(np.array(examples.cluster), return_inverse=True)[1].reshape(-1), []
    copies = len(rows) - len(np.unique(rows))
    if not copies:
        return None, []
    told = "1 image is a copy of another" if copies == 1 else f"{copies} images are copies of others"
    return rows, [f"{told}, byte for byte: copies of one image count as one cluster"]
