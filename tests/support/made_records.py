"""Records made by hand, with packed counts and without, and the board of them."""

from __future__ import annotations

import base64
import hashlib

import numpy as np

from benchbias.board.markdown.details import details_page
from benchbias.records.trial import TrialRecord
from benchbias.statistics.cells import read_layout
from benchbias.util import canonical


def record(method="plain", seed=0, value=0.5, *, swept=None, suite=None, metrics=None, **body):
    """A record by hand: done with `value` for both metrics, unless `metrics` or `status` say otherwise."""
    swept = swept or {}
    whole = {
        "suite": {
            "name": "probe",
            "title": "Probe",
            "version": "1",
            "rank_by": "worst_group_accuracy",
            "reference": None,
            "metrics": ["accuracy", "worst_group_accuracy"],
            "limit": None,
        }
        | (suite or {}),
        "task": "toy",
        "method": method,
        "swept": swept,
        "settings": swept,
        "seed": seed,
        "track": "labels-none",
        "ranked": True,
        "baseline": None,
        "stages": [],
        "environment": {},
        "status": "ok",
        "metrics": {"accuracy": value, "worst_group_accuracy": value} if metrics is None else metrics,
        "sparsity": 0.0,
        "parameters": 1000,
        "flops": 2000,
        "sparse_flops": 1000,
        "training_flops": 5000,
        "train_conflicting_accuracy": value,
    } | body
    whole["trial"] = canonical.digest(
        [whole[name] for name in ("suite", "task", "method", "swept", "settings", "stages", "seed")]
    )
    return TrialRecord(whole, {})


def wobble(name: str, seed: int) -> float:
    """The part of a value that a seed adds: a few thousandths that differ from row to row."""
    return 0.001 * (hashlib.sha256(f"{name} {seed}".encode()).digest()[0] % 9 - 4)


def failure(method="plain", seed=0, reason="out of order", status="failed", **body):
    """A record of a trial without a score, as the runner writes them."""
    done = dict(record(method, seed, **body).body)
    left_out = (
        "metrics",
        "sparsity",
        "parameters",
        "flops",
        "sparse_flops",
        "training_flops",
        "train_conflicting_accuracy",
    )
    head = {name: value for name, value in done.items() if name not in left_out}
    return TrialRecord(head | {"status": status, "stage": "train erm, seed 0", "reason": reason}, {})


CLUSTERS = 40
LAYOUT = read_layout(
    {
        "cluster": [c for c in range(CLUSTERS) for _ in range(2)],
        "group": [2 * (c % 2) + a for c in range(CLUSTERS) for a in range(2)],
        "total": [4] * (2 * CLUSTERS),
    }
)
LAYOUTS = {LAYOUT.digest: LAYOUT}


def counted(method: str, seed: int, shares: tuple[float, float], **body: object):
    """A record whose aligned and conflicting cells are right in these shares, with noise of the seed's own."""
    rng = np.random.default_rng([seed, len(method), *(ord(letter) for letter in method)])
    difficulty = np.random.default_rng(7).normal(0, 0.5, CLUSTERS)  # of an example, the same for all
    aligned = np.array([True, False, False, True])
    logit = np.log(np.array(shares) / (1 - np.array(shares)))
    by_cell = logit[np.where(aligned[LAYOUT.group], 0, 1)] + difficulty[LAYOUT.cluster] + rng.normal(0, 0.15)
    correct = rng.binomial(4, 1 / (1 + np.exp(-by_cell)))
    group_total = np.bincount(LAYOUT.group, LAYOUT.total, 4)
    group_correct = np.bincount(LAYOUT.group, correct, 4)
    plane = ((correct[:, None] >> np.arange(3)) & 1).astype(np.uint8)
    counts = base64.b64encode(np.packbits(plane).tobytes()).decode()
    metrics = {
        "worst_group_accuracy": float((group_correct / group_total).min()),
        "accuracy": float(correct.sum() / LAYOUT.total.sum()),
    }
    extra = {
        "correct": {"cells": len(correct), "bits": 3, "counts": counts, "layout": LAYOUT.digest},
        "group_names": ["0/a", "0/b", "1/a", "1/b"],
        "group_aligned": aligned.tolist(),
        "group_correct": group_correct.astype(int).tolist(),
        "group_total": group_total.astype(int).tolist(),
        "num_classes": 2,
    }
    suite = {"reference": "plain", "ceiling": "top", **body.pop("suite", {})}  # type: ignore[dict-item]
    return record(method, seed, metrics=metrics, suite=suite, **(extra | body))


SHARES = {"good": (0.9, 0.8), "alike": (0.9, 0.79), "plain": (0.9, 0.5), "bad": (0.9, 0.2)}


def four_methods(seeds: int = 8, **body: object):
    made = [counted(name, seed, shares, **body) for name, shares in SHARES.items() for seed in range(seeds)]
    top = [counted("top", seed, (0.97, 0.96), **{"ranked": False, **body}) for seed in range(seeds)]
    return [*made, *top]


def without_counts(one):
    body = {name: value for name, value in one.body.items() if name != "correct"}
    return type(one)(body, {})


def board(records):
    return details_page(records, {}, "benchbias leaderboard probe")
