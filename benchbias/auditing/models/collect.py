"""Networks and images to the values of an audit: `answers_of_models`, which the command line and Python call.

    models = model_spec("dense.safetensors", ["pruned.pth"], model="resnet18")
    images = ImageSpec("photos", table=Path("labels.csv"), attributes=("sex",))
    look = LookSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), resize=256, size=224)
    answers, facts = answers_of_models(models, images, look, RunSpec())

A second call with the same files computes nothing: logits are kept by all that decides them (`RunSpec.cache`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchbias.auditing.models.answering import PROBED, Batches, logits_of, prepared, probed
from benchbias.auditing.models.builders import Fitting, architecture, is_plugin
from benchbias.auditing.models.cache import About, Cache, key_of
from benchbias.auditing.models.examples import Examples, class_order, folder_examples, label_numbers
from benchbias.auditing.models.looks import Look, look_of
from benchbias.auditing.models.measuring import latencies, machine, parameter_counts
from benchbias.auditing.models.networks import File, Network, file_of, is_factory, is_whole_network, opened_network
from benchbias.auditing.models.pictures import FilePictures, digest
from benchbias.auditing.models.specs import ImageSpec, LookSpec, ModelSpec, RunSpec
from benchbias.auditing.tables.logits import answered, is_probabilities, is_whole, scores
from benchbias.auditing.values import DENSE, Answers, Facts
from benchbias.errors import DataError, UsageError
from benchbias.keys.environment import device_name
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
    random, labels whose order nobody tells, and preprocessing that nobody tells.
    """
    if run.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU on this machine (known here: cpu)")
    files = [None if source.file is None else file_of(source.file) for source in models.sources]
    _check_distinct(models, files)
    examples = folder_examples(images, upright=look.upright)
    used, look_notes = look_of(look, models.dense.model, None)
    work = _Work(models, files, examples, used, run, quiet)
    logits, about = work.found(images)
    answers = _assembled(models, images, examples, work, logits)
    notes = (*examples.notes, *look_notes, *about.notes, *work.notes, *answers.notes)
    return _with_notes(answers, notes), about.facts


def _check_distinct(models: ModelSpec, files: Sequence[File | None]) -> None:
    """Raises DataError where a compressed network is the dense one: the same bytes of the same model."""
    for source, file in zip(models.compressed, files[1:], strict=True):
        same = file is not None and files[0] is not None and file.sha256 == files[0].sha256
        if same and (source.model, source.table) == (models.dense.model, models.dense.table):
            raise DataError(f"{source.file} has the same bytes as {models.dense.file}: nothing is compared")


@dataclass
class _Work:
    """One audit's networks and images on the way to logits. notes: what is told of this run alone."""

    models: ModelSpec
    files: Sequence[File | None]
    examples: Examples
    look: Look
    run: RunSpec
    quiet: bool
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        pictures = self.examples.pictures
        numbers = range(len(pictures))
        steps = numbers if self.quiet else progress(numbers, len(pictures), "reading images")
        self.sums = [digest(pictures.content(number)) for number in steps]
        places: dict[bytes, int] = {}
        for number, value in enumerate(self.sums):
            places.setdefault(value, number)
        distinct = sorted(places)
        self.numbers = [places[value] for value in distinct]  # in an order that no table decides
        at = {value: row for row, value in enumerate(distinct)}
        self.rows = np.array([at[value] for value in self.sums], dtype=np.int64)  # the logits of each example
        self.device = torch.device(self.run.device)
        self.cache = Cache(self.run.cache, self.notes.append)

    def found(self, images: ImageSpec) -> tuple[list[NDArray[Any]], About]:
        """The logits of each network on the distinct images, (M, K), and what else was found: kept, or made now."""
        first = self._first(1)
        shape = (int(first.shape[1]), int(first.shape[2]), int(first.shape[3]))
        networks = {place: self._open(place, shape) for place, one in enumerate(self.models.sources) if is_factory(one)}
        keys = [self._key(place, shape, networks.get(place)) for place in range(len(self.files))]
        known = [None if key is None else self.cache.logits(key) for key in keys]
        whole = None if None in keys else key_of("about", keys, machine(self.device), self.run.measure)
        about = None if whole is None else self.cache.about(whole)
        if about is None or any(one is None for one in known):
            networks |= {place: self._open(place, shape) for place in range(len(keys)) if place not in networks}
            opened = [networks[place] for place in range(len(keys))]
            notes = self._looked_at(opened, images)
            self._run(opened, known, keys, shape)
            about = About(self._facts(opened), (*notes, *self._odd()))
            if whole is not None:
                self.cache.keep_about(whole, about)
        found = [one for one in known if one is not None]
        self._check_outputs([one.shape[1] for one in found])
        return found, about

    def _open(self, place: int, shape: tuple[int, int, int]) -> Network:
        return opened_network(self.models.sources[place], self.models, shape, self.device)

    def _first(self, count: int) -> torch.Tensor:
        """The first distinct images, prepared, (B, C, H, W)."""
        pictures = self.examples.pictures
        chosen = self.numbers[:count]
        return torch.stack([prepared(pictures, pictures.content(one), one, self.look) for one in chosen])

    def _key(self, place: int, shape: tuple[int, int, int], opened: Network | None) -> str | None:
        """The name of a network's logits on these images; None where it cannot be told what would decide them."""
        source, file = self.models.sources[place], self.files[place]
        identity: str | None = ""
        if opened is not None:
            identity = opened.identity
        elif source.model is not None and not is_whole_network(source) and is_plugin(source.model):
            identity = architecture(source.model, Fitting(shape, self.models.options, self.models.plugins)).identity
        if identity is None:
            self.notes.append(
                f"the answers of {source.what} are not kept: it cannot be told when it is another network"
            )
            return None
        return key_of(
            *("logits", None if file is None else file.sha256, source.model, source.table, dict(self.models.options)),
            *(identity, [self.sums[number].hex() for number in self.numbers], asdict(self.look)),
            *(device_name(self.run.device), self.run.batch),
        )

    def _looked_at(self, networks: Sequence[Network], images: ImageSpec) -> list[str]:
        """Notes on the networks after a first look at a few images. Raises DataError for those that cannot be used."""
        few = self._first(PROBED).to(self.device)
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

    def _run(
        self, networks: Sequence[Network], known: list[NDArray[Any] | None], keys: Sequence[str | None], shape: Any
    ) -> None:
        """Fill in and keep the logits that are not known."""
        places = [place for place, one in enumerate(known) if one is None]
        if not places:
            return
        batches = Batches(self.examples.pictures, self.numbers, self.sums, self.look, shape)
        chosen = [networks[place] for place in places]
        made = logits_of(chosen, batches, self.device, self.run.batch, quiet=self.quiet)
        for place, logits in zip(places, made, strict=True):
            known[place] = logits
            key = keys[place]
            if key is not None:
                self.cache.keep(key, logits)

    def _odd(self) -> list[str]:
        pictures = self.examples.pictures
        return pictures.odd.notes(upright=pictures.upright) if isinstance(pictures, FilePictures) else []

    def _facts(self, networks: Sequence[Network]) -> dict[str, Facts]:
        few = self._first(PROBED)
        times = latencies(networks, few, self.device) if self.run.measure else [()] * len(networks)
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
    models: ModelSpec, images: ImageSpec, examples: Examples, work: _Work, logits: Sequence[NDArray[Any]]
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
        answers[name] = codes[own.at][work.rows]
        if own.ties:
            notes.append(f"{source.name}: {own.ties} images have two largest logits that are equal; the first is taken")
        if name != DENSE and np.array_equal(found, logits[0]):
            notes.append(f"{source.name} gives exactly the logits of {models.dense.name} on every image")
        if is_whole(found) and found.max(initial=0) > 1:
            notes.append(f"the logits of {source.name} are whole numbers of unknown scale: they give no probabilities")
        else:
            values, reference = found[work.rows], None if name == DENSE or DENSE not in sure else logits[0][work.rows]
            sure[name] = scores(values, label, reference=reference)
            if is_probabilities(found):
                notes.append(f"{source.name} gives probabilities, not logits")
    dense = answers.pop(DENSE)
    cluster, more = _clusters(examples, work.rows)
    return Answers(
        classes, codes[label], dense, answers, dict(examples.attributes), cluster, examples.ids, examples.files,
        sure, models.dense.name, (*notes, *more),
    )  # fmt: skip


def _clusters(examples: Examples, rows: NDArray[Any]) -> tuple[NDArray[Any] | None, list[str]]:
    """The clusters that the table names, or else the copies of one image, if there are any."""
    if examples.cluster is not None:
        return np.unique(np.array(examples.cluster), return_inverse=True)[1].reshape(-1), []
    copies = len(rows) - len(np.unique(rows))
    if not copies:
        return None, []
    return rows, [f"{copies} images are copies of others, byte for byte: copies of one image count as one cluster"]


def _with_notes(answers: Answers, notes: Sequence[str]) -> Answers:
    from dataclasses import replace

    return replace(answers, notes=tuple(dict.fromkeys(notes)))
