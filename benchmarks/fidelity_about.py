"""The words of docs/fidelity.md on itself: the rule, and what it can and cannot tell."""

from __future__ import annotations

from fidelity_rule import FEWEST_SEEDS, WIDEST

ABOUT = f"""# Published numbers beside ours

Every number of the papers behind this project's methods that public data allow: as it is printed, as we find it with
the paper's own procedure, faults included (*as published*), with the repaired procedure (*repaired*), and whether it
was reproduced. Numbers of ours are those of the committed records; where there is no record there is no number. Made
by `python benchmarks/fidelity.py leaderboard` from [fidelity.toml](../fidelity.toml); a test holds that this page is
what it prints.

## The rule

Fixed in code ([fidelity_rule.py](../benchmarks/fidelity_rule.py)) before any number was held against it, but for
the limit of ten points, below.

- **A number** that is the mean of k runs is *reproduced* if it lies in the 95 % prediction interval for the mean of k
  further runs of ours as published: mean ± t(n − 1) · s · sqrt(1/n + 1/k), s the spread of our n seeds, widened by
  half of the last printed digit (of a plot: by what it was read to). Else *not reproduced*. Where it is not said how
  many runs a number is of, k = 1, which makes the interval wide. One of more than ± {WIDEST:g} points that
  holds the number would hold almost any: *unresolved* (this limit was set after the first verdicts, which called such
  numbers reproduced). Fewer than {FEWEST_SEEDS} seeds: *too few seeds*.
- **An ordering** is *reproduced* if our difference, paired by seed and test example, is told from zero at 5 % in its
  direction, *not reproduced* if in the other, else *unresolved*. Where it is a claim of [claims.toml](../claims.toml)
  or [claims-before.toml](../claims-before.toml), it is that claim's verdict, adjusted for all claims of its file;
  `equivalent` is not reproduced.
- *Not attempted*: there are no records. *Impossible*: nothing that could be run would answer it; why is said.

What the rule can and cannot tell:

- If a published run were one more run of ours, it would still fail in 5 % of cases: a test simulates it. Of forty
  numbers two fail by chance, and not each on its own: rows that prune the same trained networks fail or hold together.
- It takes normal noise. Simulated, that fails equal runs in 5 % of cases for normal values, in 5 to 6 % for the worst
  of 25 groups, and in 8 to 14 % for a skewed accuracy near 0: there *not reproduced* is said too easily.
- *Reproduced* is weak where the interval is wide: look at **expected**. It says that the number could have come out of
  our runs, not that it is right.
- It takes their noise for ours: papers here print no spread, or one of an unknown number of runs. The test images are
  the same, or redrawn from the same ones, on both sides: no draw of test images is added.
- A published number that is the best of many settings on the test split is above the mean of runs at that setting. It
  may rightly fail.
- Our interval (± half of it, at 95 %) is that of the board: of seeds and test images. The prediction interval is of
  seeds alone.
"""
