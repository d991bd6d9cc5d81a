"""One line on a file that torch refuses to read as tensors. Its pickle is looked at as text, and never run."""

from __future__ import annotations

import io
import itertools
import pickletools
import re
import shlex
import zipfile
from collections.abc import Collection, Iterator

UNSUPPORTED = re.compile(r"GLOBAL ([\w.]+)")  # torch's word for a class or a function that it does not make
ADVICE = (
    "weights_only",
    "Weights only load",
    "file an issue",
    "documentation of torch.load",
)  # torch's, which would have the code run
HOSTILE = {
    *("os", "posix", "nt", "sys", "subprocess", "shutil", "socket", "runpy", "pty", "ctypes", "importlib"),
    *("webbrowser", "urllib", "requests", "platform", "code", "commands", "pip", "asyncio", "multiprocessing"),
}
"""Modules that no weights need: who names one wants something run."""
EVALUATED = {"eval", "exec", "execfile", "compile", "open", "__import__", "breakpoint", "input"}
PICKLES = 5  # that old files of torch.save begin with
MOST = 1_000_000  # instructions that are looked at
STRINGS = ("UNICODE", "STRING")


def refusal(content: bytes, error: str, name: str, tables: Collection[str]) -> str:
    """The line. content: of the file; error: torch's; tables: where scripts keep weights, for the remedy."""
    named = list(itertools.islice(_names(content), MOST))
    hostile = next(filter(_is_hostile, named), None)
    if hostile is not None:
        return f"{name} holds {hostile}, which is no tensor: do not open it, it would run code of its maker"
    found = UNSUPPORTED.search(error)
    lines = (line.strip() for line in error.splitlines())
    told = next((line for line in lines if line and not any(advice in line for advice in ADVICE)), "")
    said = (
        f"{name} is no file of tensors that torch.save wrote, or a damaged one, or holds more than tensors "
        f"(save model.state_dict(), not the model)"
    )
    if found is None:
        return f"{said}: {told:.300}" if told else said
    if _is_hostile(found[1]):
        return f"{name} holds {found[1]}, which is no tensor: do not open it, it would run code of its maker"
    return f"{said}: it holds {found[1]}; if you trust the file, this makes one of tensors: {conversion(name, tables)}"


def conversion(name: str, tables: Collection[str]) -> str:
    """The command that saves the tensors alone: it runs the file's code, as reading them here never does."""
    new = f"{name.rpartition('.')[0] or name}-tensors.pth"
    code = (
        f"import torch; f = torch.load({name!r}, weights_only=False, map_location='cpu'); "
        f"f = next((f[k] for k in {tables} if k in f), f) if isinstance(f, dict) else f; "
        f"torch.save(f.state_dict() if hasattr(f, 'state_dict') else f, {new!r})"
    )
    plain = not set(name) & set('"$`\\!')
    return f'python -c "{code}"' if plain else f"python -c {shlex.quote(code)}"


def _is_hostile(name: str) -> bool:
    module, _, rest = name.partition(".")
    return module in HOSTILE or (module in ("builtins", "__builtin__") and rest in EVALUATED)


def _names(content: bytes) -> Iterator[str]:
    """The classes and functions that a file's pickles name, as far as they stand there plainly."""
    for pickled in _pickles(content):
        strings: list[str] = []
        stream = io.BytesIO(pickled)
        try:
            for _ in range(PICKLES):
                for code, argument, _ in itertools.islice(pickletools.genops(stream), MOST):
                    if code.name in ("GLOBAL", "INST"):
                        yield str(argument).replace(" ", ".")
                    elif code.name == "STACK_GLOBAL" and len(strings) > 1:
                        yield ".".join(strings[-2:])
                    elif any(kind in code.name for kind in STRINGS):
                        strings = [*strings[-1:], str(argument)]
        except (ValueError, IndexError, UnicodeError):  # a damaged pickle, or the tensors after the last one
            continue


def _pickles(content: bytes) -> list[bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".pkl")]
            return [archive.read(entry) for entry in entries if entry.file_size <= len(content)]
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, RuntimeError, EOFError):
        return [content]
