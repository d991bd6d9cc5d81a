from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def latency(request: Mapping[str, Any]) -> dict[str, Any]:
    raise NotImplementedError
