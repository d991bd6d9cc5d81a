"""Which checks of what benchbias comes with are slow."""

from __future__ import annotations

import re

import pytest

LARGE = re.compile(
    r"\[(dataset-(cifar10|corrupted_cifar10|colored_mnist|spuco_mnist|dominoes)|model-(resnet50|resnet110|torchvision|timm)"
    r"|probe-critical_(init|noise)|analysis-fairness)-"
)
"""Components whose every check builds 60,000 images or a large network, or asks a model a thousand times."""


def pytest_itemcollected(item: pytest.Item) -> None:
    if LARGE.search(item.name):
        item.add_marker(pytest.mark.slow)
