"""Cards, manifest, claims, heat maps and balances: what records, tables and other commands say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchbias.board.claims import answer_claims, load_claims
from benchbias.board.evidence import Evidence
from benchbias.board.sweeps import layer_sweeps
from benchbias.cli.showing import details
from benchbias.report.cards.claims import gather_claims
from benchbias.report.cards.manifest import digest_of, gather_manifest
from benchbias.report.cards.method_and_task import gather_cards
from benchbias.report.gathering.balance import gather_balance
from benchbias.report.gathering.heat import gather_heat
from benchbias.report.gathering.source import Source
from benchbias.runner.publishing import published_analyses, published_records
from benchbias.runner.workspace import Workspace
from support import LEADERBOARD
from support.made_reports import hostile_source, made_source


def published(suite: str, workspace: Workspace | None = None) -> Source:
    records, layouts = published_records(suite, LEADERBOARD)
    found = published_analyses(suite, LEADERBOARD)
    return Source(suite, records, layouts, found, LEADERBOARD, True, Path("absent"), workspace)


@pytest.fixture(scope="module")
def neurons() -> Source:
    return published("critical-neurons", Workspace.open(quiet=True))


def test_a_method_has_a_card_with_the_settings_that_show_prints(neurons: Source):
    cards = gather_cards(neurons)
    assert {one["name"] for one in cards["methods"]} == {row.first["method"] for row in neurons.rows}
    assert cards["today"] == neurons.records[0].body["suite"]["version"]
    for one in cards["methods"]:
        told = details(neurons.workspace, one["name"], neurons.suite, ())
        (on,) = one["on"]
        for at, stage in enumerate(on["stages"], 1):
            assert f"stage {at}: {stage['words']}" in told
            for setting in [*stage["settings"], *stage["recipe"]]:
                assert f"{setting['name']} = {json.dumps(setting['value'])}  ({setting['source']})" in told
        assert on["stages"]


def test_a_task_has_a_card_whose_groups_count_what_its_records_count(neurons: Source):
    (task,) = gather_cards(neurons)["tasks"]
    bodies = [one.body for one in neurons.records]
    for at, group in enumerate(task["groups"]):
        for name, key in (("train", "train_group_total"), ("test", "group_total")):
            counts = {body[key][at] for body in bodies}
            assert group[name] == [min(counts), max(counts)]
    assert task["sourceImages"] == len({c for one in neurons.layouts.values() for c in one.cluster.tolist()})


def test_cards_of_records_alone_have_the_recorded_settings_and_no_stages():
    cards = gather_cards(hostile_source())
    assert cards["today"] is None
    assert all(one["on"] == [] for one in cards["methods"])
    source = made_source()
    small = next(one for one in gather_cards(source)["methods"] if one["name"] == "small")
    assert small["recorded"] == {"sparsity": [0.5, 0.8, 0.95]}


def test_the_digest_is_of_every_record_and_of_no_order_or_time():
    records = list(made_source().records)
    digest = digest_of(records)
    assert digest_of(records[::-1]) == digest
    assert digest_of([replace(one, measured={"seconds": 9.0}) for one in records]) == digest
    changed = replace(records[3], body={**records[3].body, "training_flops": 1})
    assert digest_of([*records[:3], changed, *records[4:]]) != digest
    assert digest_of(records[1:]) != digest


def test_the_manifest_counts_all_records():
    source = made_source()
    manifest = gather_manifest(source)
    assert manifest["records"] == sum(manifest["status"].values()) == len(source.records)
    assert manifest["seeds"] == sorted({one.body["seed"] for one in source.records})
    assert str(Path.cwd()) not in json.dumps(manifest), "a path of this machine"


@pytest.mark.slow
def test_claims_have_the_verdicts_of_the_command():
    """The oracle answers the file from the whole folder; the report reads it for one suite."""
    claims, _ = load_claims()
    suites = {claim.suite for claim in claims.values()}
    few = {name: claim for name, claim in claims.items() if claim.suite == "critical-neurons"}
    assert few
    assert len(suites) > 1
    (found,) = gather_claims([published("critical-neurons")])
    known = {one: Evidence(own.rows, own.analyses) for one in suites if (own := published(one))}
    answers = {one.name: one for one in answer_claims(claims, known.get)}
    assert found["of"] == len(claims)
    assert [one["name"] for one in found["claims"]] == list(few)
    for one in found["claims"]:
        answer = answers[one["name"]]
        assert one["verdict"] == answer.verdict
        assert one["difference"]["mean"] == pytest.approx(answer.gap.mean, abs=1e-6)
        assert one["p"] == pytest.approx(min(answer.different, answer.alike), abs=1e-6)


def test_claims_about_rows_that_are_not_there_are_not_run():
    """Claims about two rows, and about a probe of one; the report stands without them."""
    for suite, method in (("rest-density", "rest"), ("critical-neurons", "erm")):
        whole = published(suite)
        left = [one for one in whole.records if one.body["method"] != method]
        (found,) = gather_claims([replace(whole, records=left, published=False)])
        assert {one["verdict"] for one in found["claims"]} == {"not run"}
        assert len(found["claims"]) > 1
    assert gather_claims([made_source()]) == [None]


def test_heat_maps_have_the_changes_of_layer_sweeps():
    source = published("prune-layers")
    heat = gather_heat(source)
    assert heat is not None
    sweeps = [sweep for sweep in layer_sweeps(source.rows) if sweep.whole is not None]
    assert [one["method"] for one in heat["sweeps"]] == [sweep.method for sweep in sweeps]
    metric = source.records[0].body["suite"]["rank_by"]
    for one, sweep in zip(heat["sweeps"], sweeps, strict=True):
        assert len(one["cells"]) == len(sweep.points)
        for cell in one["cells"]:
            row = sweep.points[cell["layers"], cell["amount"]]
            seeds = row.records.keys() & sweep.whole.records.keys()
            means = [
                sum(float(side.values[metric][s].value - side.values[metric][s].bias) for s in seeds) / len(seeds)
                for side in (row, sweep.whole)
            ]
            assert cell["changes"][metric]["mean"] == pytest.approx(means[0] - means[1], abs=1e-5)


def test_heat_maps_of_probes_are_means_over_seeds_of_the_records_tables(neurons: Source):
    heat = gather_heat(neurons)
    assert heat is not None
    one = next(probe for probe in heat["probes"] if probe["probe"] == "critical_zero" and probe["row"] == "erm")
    assert one["across"] == "group"
    tables = [record.body["probes"]["critical_zero"] for record in neurons.records if record.body["method"] == "erm"]
    for cell in one["cells"]:
        values = []
        for table in tables:
            columns = {column["name"]: column["values"] for column in table["columns"]}
            wanted = {**dict(zip(one["down"], cell["down"], strict=True)), "group": cell["across"], **one["always"]}
            places = [
                at
                for at in range(len(columns["group"]))
                if all(columns[key][at] == text for key, text in wanted.items())
            ]
            (at,) = places
            values.append(columns["difference"][at])
        known = [value for value in values if value is not None]
        assert cell["values"]["difference"]["mean"] == pytest.approx(sum(known) / len(known), abs=1e-6)
    assert len(one["cells"]) == len(tables[0]["columns"][0]["values"])


def test_what_a_probe_names_as_a_probability_stays_within_0_and_1(neurons: Source):
    """A number that is named p, and was never outside of 0 and 1; other numbers keep their intervals."""
    heat = gather_heat(neurons)
    assert heat is not None
    found = [probe for probe in heat["probes"] if probe["probe"] == "criteria_overlap"]
    bounds = [
        (cell["values"][name]["low"], cell["values"][name]["high"])
        for probe in found
        for cell in probe["cells"]
        for name in ("p", "p by layers")
        if cell["values"][name]["low"] is not None
    ]
    assert bounds
    assert all(0 <= low < high <= 1 for low, high in bounds)
    changes = [probe for probe in heat["probes"] if probe["probe"] == "critical_zero"]
    lows = [cell["values"]["difference"]["low"] for probe in changes for cell in probe["cells"]]
    assert min(low for low in lows if low is not None) < 0


def test_balances_are_those_of_the_analyses():
    assert gather_balance(made_source()) is None
    analyses = published_analyses("pruning-mnist", LEADERBOARD)
    balance = gather_balance(Source("pruning-mnist", [], {}, analyses, LEADERBOARD, True))
    assert balance is not None
    tables = {record.name: record.body["table"] for record in analyses}
    for part in (*balance["alphas"], *balance["balances"]):
        columns = {column["name"]: column["values"] for column in tables[part["analysis"]]["columns"]}
        assert [line["row"] for line in part["lines"]] == columns["row"]
        shown = [line["after"] if "part" in part else line["alpha"] and line["alpha"]["mean"] for line in part["lines"]]
        known = columns["balance after"] if "part" in part else [one and one[0] for one in columns["alpha"]]
        assert shown == [None if value is None else pytest.approx(value, abs=1e-6) for value in known]
        if "part" not in part:
            assert [line["reliability"] for line in part["lines"]] == pytest.approx(columns["reliability"], abs=1e-6)
    assert {len(balance["alphas"]), len(balance["balances"])} == {2, 1}
