"""`tokenomics watch` tells of a ledger what its owner would have been told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.core.observability.anomaly_series import calls
from tests.core.observability.records import spend
from tokenomics_core.cli import main
from tokenomics_core.ledger import SQLiteLedger


@pytest.fixture(scope="module")
def series():
    return list(calls(9_000, seed=3, factor=lambda number: 4 if number >= 8_500 else 1))


@pytest.fixture(scope="module")
def ledger(series, tmp_path_factory):
    path = tmp_path_factory.mktemp("watch") / "ledger.db"
    jsonl = path.with_suffix(".jsonl")
    jsonl.write_text("".join(json.dumps(one.to_dict()) + "\n" for one in series), encoding="utf-8")
    with SQLiteLedger(path) as opened:
        opened.import_jsonl(jsonl)
    return str(path)


@pytest.fixture(scope="module")
def clock(series):
    return lambda: series[-1].at + timedelta(minutes=1)


def test_an_episode_a_trend_and_a_forecast_are_shown(ledger, clock, capsys):
    assert main(["watch", ledger, "--budget", "300"], clock=clock) == 0
    shown = capsys.readouterr().out
    assert "a call of feature 'chat' costs" in shown
    assert "mostly by longer calls" in shown
    assert "What drove the change" in shown
    assert "September 2026" in shown
    assert "50%" in shown


def test_an_episode_can_fail_the_command(ledger, clock, series, capsys):
    assert main(["watch", ledger, "--fail-on-anomaly"], clock=clock) == 1
    quiet = (series[8_000].at).isoformat()
    before = (series[7_000].at).isoformat()
    assert main(["watch", ledger, "--fail-on-anomaly", "--since", before, "--until", quiet], clock=clock) == 0
    assert "Nothing that is not as usual." in capsys.readouterr().out


def test_json_holds_all_of_it(ledger, clock, series, capsys):
    assert main(["watch", ledger, "--json", "--budget", "$300"], clock=clock) == 0
    told = json.loads(capsys.readouterr().out)
    (level,) = [one for one in told["anomalies"] if one["kind"] == "level" and one["part_of"] is None]
    assert level["change"]["main_driver"] == "tokens"
    assert [one["share"] for one in told["budget"]] == [0.5, 0.8, 1.0]
    change = told["trend"]["change"]
    assert sum(map(Decimal, change["parts"].values())) == Decimal(change["change_usd"])
    month = [one for one in series if one.at.month == clock().month]
    assert Decimal(told["forecast"]["spent_usd"]) == sum(one.cost_usd for one in month)


def test_only_what_is_asked_for_is_watched(ledger, clock, capsys):
    assert main(["watch", ledger, "--feature", "search", "--json"], clock=clock) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["anomalies"] == []
    assert told["trend"]["calls"] == 0


def test_an_empty_ledger_has_nothing_to_tell(tmp_path, clock, capsys):
    path = tmp_path / "empty.db"
    SQLiteLedger(path).close()
    assert main(["watch", str(path), "--fail-on-anomaly"], clock=clock) == 0
    assert "No complete day is known" in capsys.readouterr().out


def test_a_call_without_a_feature_is_watched_too(tmp_path, clock, capsys):
    path = tmp_path / "ledger.db"
    at = clock() - timedelta(hours=2)
    with SQLiteLedger(path) as ledger:
        for number in range(60):
            ledger.record(replace(spend(cost="0.01", at=at), id=str(number)))
        ledger.record(spend(cost="2", at=at + timedelta(minutes=1)))
    assert main(["watch", str(path), "--fail-on-anomaly"], clock=clock) == 1
    assert "one call without a feature cost $2.00" in capsys.readouterr().out


@pytest.mark.parametrize("budget", ["0", "much", "nan"])
def test_a_budget_that_cannot_be_is_refused(ledger, budget, capsys):
    with pytest.raises(SystemExit):
        main(["watch", ledger, "--budget", budget])
    assert "is no amount of USD above 0" in capsys.readouterr().err
