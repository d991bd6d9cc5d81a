"""Connections to other machines: whether any may be opened, and a process that refuses all."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

OFFLINE = ("BENCHBIAS_OFFLINE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")


def offline() -> bool:
    """Whether no connection may be opened: `--offline`, or an environment variable that says so."""
    return any(os.environ.get(name, "").lower() not in ("", "0", "false", "no", "off") for name in OFFLINE)


@contextlib.contextmanager
def no_connections() -> Iterator[None]:
    """Refuse every connection to another machine that this process tries inside: whatever a file or a library asks."""
    from unittest import mock

    def refused(*arguments: Any, **named: Any) -> Any:
        raise OSError("no connection may be opened here: local files are read, or --offline is set")

    def local_only(name: str) -> Callable[..., Any]:
        real = getattr(socket.socket, name)

        def call(self: socket.socket, *arguments: Any) -> Any:
            return real(self, *arguments) if self.family == socket.AF_UNIX else refused()

        return call

    with contextlib.ExitStack() as held:
        for name in ("connect", "connect_ex", "sendto", "sendmsg"):
            held.enter_context(mock.patch.object(socket.socket, name, local_only(name)))
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            held.enter_context(mock.patch.object(socket, name, refused))
        yield
