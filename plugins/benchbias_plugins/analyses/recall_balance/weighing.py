"""Estimates of any statistic over models and test images, from how it answers to their weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchbias import Estimate


@dataclass(frozen=True)
class Weights:
    """Weights, all 1, of models (M,) and of source images for each model (M, clusters): float64, with gradients.

    drawn: whether the images count as drawn; else they are those that there are, and intervals are over models alone.
    """

    model: Tensor
    image: Tensor
    drawn: bool = True

    @staticmethod
    def ones(models: int, clusters: int, *, drawn: bool = True) -> Weights:
        """Weights of 1 for so many models and source images."""
        model = torch.ones(models, dtype=torch.float64, requires_grad=True)
        return Weights(model, torch.ones(models, clusters, dtype=torch.float64, requires_grad=True), drawn)

    def mean(self, values: Tensor) -> Tensor:
        """The mean over models: (M,) -> ()."""
        return (self.model * values).sum() / self.model.sum()

    def influence(self, value: Tensor) -> Influence | None:
        """Influences on a number computed with these weights; None where it, or its slope by a weight, is undefined."""
        by_model, by_image = torch.autograd.grad(
            value, (self.model, self.image), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        if not self.drawn:
            by_image = torch.zeros_like(by_image)
        defined = all(bool(part.isfinite().all()) for part in (value, by_model, by_image))
        return Influence(float(value.detach()), by_model, by_image) if defined else None


@dataclass(frozen=True, eq=False)
class Influence:
    """A number and its derivatives by the weights of models (M,) and of source images for each model (M, clusters)."""

    value: float
    model: Tensor
    image: Tensor

    def minus(self, other: Influence, factor: float = 1.0) -> Influence:
        """This number minus `factor` times the other."""
        return Influence(
            self.value - factor * other.value, self.model - factor * other.model, self.image - factor * other.image
        )

    def over(self, other: Influence) -> Influence:
        """The ratio of both numbers, linearised at their values."""
        ratio = self.value / other.value
        rest = self.minus(other, ratio)
        return Influence(ratio, rest.model / other.value, rest.image / other.value)

    def interval(self, level: float) -> tuple[float, float]:
        """The bounds of the estimate's interval; the value twice where neither models nor images vary it."""
        found = self.estimate()
        return (self.value, self.value) if found.standard_error == 0 else found.interval(level)

    def estimate(self) -> Estimate:
        """An estimate with the variance of the infinitesimal jackknife (Efron, 1982), s^2 / M + v.

        s^2: between the influences of models (M - 1). v: from the draw of test images, which all models share; noise
        of one model on one image is in s^2 already and is taken out of v. Degrees of freedom: Satterthwaite's (1946),
        by which the share of the models is told. Of one model without an interval.
        """
        models, images = self.image.shape
        if models < 2:
            return Estimate.of(self.value, None, None, models)
        from_models = float(models * self.model.square().sum()) / (models - 1)
        shared = self.image.sum(dim=0).square().sum() - models * self.image.var(dim=0).sum()
        from_images = max(0.0, float(shared)) if images > 1 else 0.0
        variance = from_models + from_images
        freedom = float(models - 1)
        if from_images > 0:
            freedom = variance**2 / (from_models**2 / (models - 1) + from_images**2 / (images - 1))
        return Estimate.of(self.value, variance**0.5, freedom, models)
