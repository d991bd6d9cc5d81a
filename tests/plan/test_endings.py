"""A trial is said to have ended once, when the last of its stages is done or can never be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.plan.endings import Endings


@st.composite
def plans(draw: st.DrawFn) -> Any:
    """Stages with parents before children, and trials that are any stages with all that these rest on."""
    size = draw(st.integers(1, 9))
    stages: dict[str, Any] = {}
    for number in range(size):
        parents = draw(st.sets(st.sampled_from(range(number)), max_size=2)) if number else set()
        stages[f"k{number}"] = SimpleNamespace(parents={f"p{one}": f"k{one}" for one in parents})
    trials = []
    for number in range(draw(st.integers(1, 4))):
        last = draw(st.sets(st.sampled_from(sorted(stages)), max_size=3))
        keys = sorted(set().union(*(above(stages, key) for key in last)))
        blocked = "no package" if draw(st.booleans()) and not keys else None
        trials.append(SimpleNamespace(id=f"t{number}", everything=tuple(keys), blocked=blocked))
    return SimpleNamespace(stages=stages, trials=tuple(trials))


def above(stages: dict[str, Any], key: str) -> set[str]:
    return {key}.union(*(above(stages, parent) for parent in stages[key].parents.values()))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_trials_end_with_the_last_of_their_stages_and_once(data: st.DataObject):
    plan = data.draw(plans())
    before = data.draw(st.sets(st.sampled_from(sorted(plan.stages))))
    settled = {key for key in plan.stages if above(plan.stages, key) <= before}
    whole = {trial.id for trial in plan.trials if set(trial.everything) <= settled}
    endings, said = Endings(plan, settled), list[str]()
    while rest := [key for key in plan.stages if key not in settled]:
        ready = [key for key in rest if above(plan.stages, key) - {key} <= settled]
        key, failed = data.draw(st.sampled_from(ready)), data.draw(st.booleans())
        settled |= {other for other in plan.stages if failed and key in above(plan.stages, other)} | {key}
        ended = [trial.id for trial in endings.after(key, failed=failed)]
        said += ended
        done = {trial.id for trial in plan.trials if set(trial.everything) <= settled}
        assert set(said) == done - whole, "oracle: all stages of these are settled now, and were not at the start"
        assert ended == [trial.id for trial in plan.trials if trial.id in ended], "in the plan's order"
        assert endings.after(key, failed=failed) == []
    assert len(said) == len(set(said))
