"""Samples of what a Python process does, by its CPU time, into the file that SPEED_SAMPLES names; else nothing.

Python imports this module when it starts, in every process on whose path it lies. A timer of CPU time interrupts the
process; what its main thread does then is one line of the file: microseconds since the last sample, kind of stage,
class of work, module of ours. Long calls into torch are told by the frame that made them. A fork samples on.
"""

import atexit
import os
import signal
import sys
import time
from types import FrameType

INTERVAL = 0.005  # CPU seconds
OURS = ("/benchbias/", "/benchbias_plugins/")
WORK = (
    ("/torch/optim/lr_scheduler", "schedule"),
    ("/torch/optim/", "step"),
    ("/torch/autograd/", "backward"),
    ("/torch/_tensor.py", "backward"),
    ("/torch/nn/", "forward"),
    ("/sklearn/", "scikit-learn"),
    ("<frozen importlib", "imports"),
    ("/benchbias/sparse/", "masks"),
    ("/benchbias/training/losses.py", "forward"),
    ("/benchbias_plugins/networks/", "forward"),
)


class Sampler:
    """Knows how much CPU time the last sample saw, and the class of each file."""

    def __init__(self, file: int) -> None:
        self.file, self.seen = file, 0.0
        self.known: dict[str, tuple[str, str, str]] = {}

    def start(self) -> None:
        self.seen = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def sample(self, number: int, frame: FrameType | None) -> None:
        now = time.process_time()
        text = "\t".join((str(round(1e6 * (now - self.seen))), *self.looked_at(frame)))
        self.seen = now
        os.write(self.file, f"{text}\n".encode())

    def looked_at(self, frame: FrameType | None) -> tuple[str, str, str]:
        """(kind of stage, class of work, module of ours), each from the innermost frame that tells it."""
        stage = work = module = ""
        while frame is not None:
            told = self.told_by(frame.f_code.co_filename)
            work, module, stage = work or ("" if module else told[0]), module or told[1], told[2] or stage
            frame = frame.f_back
        return stage, work, module

    def told_by(self, name: str) -> tuple[str, str, str]:
        """The class of work, the module and the kind of stage that a file's name tells."""
        if name not in self.known:
            work = next((kind for part, kind in WORK if part in name), "")
            module = stage = ""
            for part in OURS:
                if part in name:
                    module = name.rpartition(part)[2].removesuffix(".py").replace("/", ".")
                    stage = module.removeprefix("stages.") if module.startswith("stages.") else ""
            self.known[name] = (work, module, stage)
        return self.known[name]


def _begin() -> None:
    named = os.environ.get("SPEED_SAMPLES", "")
    if named:
        sampler = Sampler(os.open(named, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
        signal.signal(signal.SIGPROF, sampler.sample)
        os.register_at_fork(after_in_child=sampler.start)
        atexit.register(signal.setitimer, signal.ITIMER_PROF, 0)  # Python takes its handlers away when it ends
        sampler.start()


if __name__ == "sitecustomize" and hasattr(signal, "setitimer") and sys.platform == "linux":
    _begin()
