"""The words of docs/fidelity.md on itself: the rule, and what it can and cannot show."""

from __future__ import annotations

from fidelity_rule import FEWEST_SEEDS, WIDEST

ABOUT = f"""# Published numbers beside ours

Every number of the papers behind this project's methods that public data allow. Each stands as it is printed, and as
we find it with the paper's own procedure, faults included (*as published*). Where there is one, our repaired
procedure stands beside (*repaired*). The verdict says whether the number was reproduced.

Numbers of ours are those of the committed records; where there is no record there is no number. The page is made by
`python benchmarks/fidelity.py leaderboard` from [fidelity.toml](../fidelity.toml). A test holds that it is what that
prints.

## The rule

The rule is code: [fidelity_rule.py](../benchmarks/fidelity_rule.py). Its first form, for levels and orderings, was
fixed before any number was held against it. The limit of {WIDEST:g} points, drops, failed runs, sizes and
clipping came later, after verdicts had been seen.

**A level** is a published mean of k runs. Our n runs say where the mean of k further runs is expected, in 95 % of
cases: mean ± t(n − 1) · s · sqrt(1/n + 1/k). The spread of our seeds is s. The interval is widened by half of the
last printed digit, or by how well a plot could be read. It is clipped to what the quantity can be, such as 0
to 100 %.

- *Reproduced*: the number lies inside, and the interval is at most ± {WIDEST:g} points.
- *Unresolved*: it lies inside a wider interval, which would hold almost any number.
- *Not reproduced*: it lies outside.
- *Too few seeds*: fewer than {FEWEST_SEEDS} of our runs are left.

Where a paper does not say of how many runs a number is, k = 1, which makes the interval wide.

**A drop** is compared where a paper prunes one trained network at many places. Forty such levels rise and fall with
the one network that they began with, so their levels would be one comparison, made forty times. A drop is a level
less the level of the same network before pruning. The published drop is held against ours, paired by seed, by the
rule above, with k = 1 network. Both printed numbers may be rounded, so the interval is widened for both. It is
clipped to what the published level before pruning leaves room for. Tables compared so say it in their first line.

**A failed run** is one whose trained network collapsed. Its accuracy on aligned examples is below half of the way
from chance to the suite's ceiling. This is the board's definition. Of a pruned row it is asked before pruning: what
pruning breaks is no failed run. Failed runs are left out on both sides. Their rate stands apart: k of n, the exact
95 % interval (Clopper and Pearson), and which seeds. The means of all runs stand beside, and the verdicts with
them are counted below the table. Of a published network it is asked of its average by training shares, nearly all of
which are aligned examples.

**An ordering** is *reproduced* if the 95 % interval of our difference lies on its side of zero. The difference is
paired by seed and test example. It is *not reproduced* if the interval lies on the other side, else *unresolved*.
A difference that is the same in every seed may have no interval. Then the sign test gives its side, from six seeds on.

**A size**, such as "loses 11 points", is held against an interval too. For a size that k runs gave, it is the
interval expected of k further runs. For one said in general, it is the 95 % interval of our mean difference.

- *Reproduced*: the ordering is reproduced, the interval meets the size, and it is at most ± {WIDEST:g} points.
- *Not reproduced*: the interval lies outside of the size, or the ordering is not reproduced.
- What is said to be *stable* is reproduced where the interval of our mean lies wholly within the size. Where the
  paper gives no size, it is the margin of our claims, 3 points.
- *Unresolved*: all else.

**A claim** of [claims.toml](../claims.toml) or [claims-before.toml](../claims-before.toml) gives its own verdict,
adjusted for all claims of its file; `equivalent` is not reproduced. It is of all runs, failed ones included.

**Other data.** Where our data or network are not the paper's, nothing is reproduced, and nothing fails to be. What
agrees there *holds on other data*, what is *not reproduced* by the rules above *fails on other data*. Our data are
named beside it.

*Not attempted*: there are no records. *Impossible*: nothing that could be run would answer it; why is said.

**Numbers and facts.** A fact is what one table, or one statement, says of one trained network or of one set of runs.
Forty places at which one network is pruned are one fact, however many numbers show it. A statement asked in two
suites is two facts. A fact that stands further up is not counted again.

What the rule can and cannot show:

- If a published run were one more run of ours, it would still fail in 5 % of cases. Tests simulate it, for levels and
  for drops. Of forty numbers two fail by chance. Within one fact they fail or hold together.
- It takes normal noise. Simulated, equal runs fail in 5 % of cases for normal values, and in 5 to 6 % for the worst
  of 25 groups. For a skewed accuracy near 0 it is 8 to 14 %: there *not reproduced* is said too easily.
- *Reproduced* is weak where the interval is wide: look at **expected**. It says that the number could have come out
  of our runs, not that it is right.
- A network that is pruned to nothing drops by all that it had. There drops show the level before pruning, and no
  more.
- A rate of failures from ten runs is known poorly: look at its interval. One published run that did not fail agrees
  with nearly any rate.
- It takes their noise for ours: papers here print no spread, or one of an unknown number of runs. The test images are
  the same, or redrawn from the same ones, on both sides: no draw of test images is added.
- A published number may be the best of many settings on the test split. That is above the mean of runs at its
  setting, and may rightly fail.
- Our interval (at 95 %) is that of the board: of seeds and test images. A level has bounds, a difference has ±.
- A worst group, and a difference of two, is as counted: papers do not take off the bias of a least, which boards do.
- The expected interval is of seeds alone.
"""
