"""Notes of the component that a worker calls: whatever ends a stage, its failure names a component and a plugin."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchbias.errors import first_line
from benchbias.plugin.foreign import OURS


@dataclass(frozen=True)
class Called:
    """A component that a stage has called."""

    kind: str
    name: str
    plugin: str

    @property
    def short(self) -> str:
        return f"{self.kind} {self.name!r}"

    def __str__(self) -> str:
        return f"{self.short} of plugin {self.plugin!r}"


class Blame:
    """Notes every call of a component by `note`, and finds the one that an error came from."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._called: list[Called] = []  # in the order of their last call
        self._running: list[Called] = []
        self._raised: tuple[BaseException, Called] | None = None

    def watched(self, kind: str, name: str, plugin: str, component: Callable[..., Any]) -> Callable[..., Any]:
        """The component, with its calls noted. Its signature stays."""
        called = Called(kind, name, plugin)

        @functools.wraps(component)
        def call(*args: Any, **kwargs: Any) -> Any:
            self._called = [*(other for other in self._called if other != called), called]
            self._running.append(called)
            self._note(self._text())
            try:
                return component(*args, **kwargs)
            except BaseException as error:
                if self._raised is None or self._raised[0] is not error:
                    self._raised = (error, called)
                raise
            finally:
                self._running.pop()
                self._note(self._text())

        return call

    def of(self, error: BaseException) -> str:
        """The component that an error came from; empty where none was called."""
        text = first_line(error)
        named = [called for called in self._called if called.short in text]
        if named:
            return str(named[-1])
        if self._raised is not None and self._raised[0] is error:
            return self._with_others(self._raised[1])
        return self._text()

    def _text(self) -> str:
        """The component that runs, or else the last one that did."""
        last = self._running[-1] if self._running else self._called[-1] if self._called else None
        return self._with_others(last) if last is not None else ""

    def _with_others(self, called: Called) -> str:
        """One of ours may have failed by what others gave it, a model say: then those are named too."""
        others = [other for other in self._called if other != called and not other.plugin.startswith(OURS)]
        named = [called, *others] if called.plugin.startswith(OURS) else [called]
        return ", with ".join(map(str, named))
