"""What is not as usual is told once, soon, and seldom by mistake."""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.observability.anomaly_series import START, calls
from tests.core.observability.records import hit, records, spend
from tokenomics_core import Attribution, ConfigurationError
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability import CostReport
from tokenomics_core.observability._anomaly_chart import solve_limit
from tokenomics_core.observability.watching import AnomalyWatch, WatchRules, watched


def watch_of(some, **given_settings):
    watch = AnomalyWatch(**({"dimensions": ("feature",)} | given_settings))
    for record in some:
        watch.add(record)
    return watch


def binomial_tail(count, trials, chance):
    """Return the chance of at least `count` of `trials`, the p-value that Clopper and Pearson invert."""
    below = math.fsum(
        math.comb(trials, number) * chance**number * (1 - chance) ** (trials - number)
        for number in range(count)
    )
    return 1 - below


# -- seldom by mistake


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param({}, id="lognormal"),
        pytest.param({"phi": 0.7}, id="autocorrelated"),
        pytest.param({"tail": "pareto"}, id="pareto"),
        pytest.param({"rhythm": 0.6, "sigma": 1.0}, id="strong rhythm"),
    ],
)
def test_false_alarms_are_no_more_than_stated(shape):
    stated, each, seeds = 1_000, 6_000, range(4)
    rules = WatchRules(calls_between_false_alarms=stated, days_between_false_alarms=1)
    kinds = {"call": 0, "level": 0, "rate": 0}
    for seed in seeds:
        for episode in watch_of(calls(each, seed=seed, **shape), rules=rules).episodes:
            kinds[episode.kind] += 1
    trials = each * len(seeds)
    for kind in ("call", "level"):
        assert binomial_tail(kinds[kind], trials, 1 / stated) > 0.01, kinds
    days = 6.5 * len(seeds)
    assert binomial_tail(kinds["rate"], int(days * 96), 1 / 96) > 0.01, kinds


@pytest.mark.parametrize(("variance", "scale"), [(1.0, 1.0), (4.0, 2.0), (0.25, 0.5)])
def test_the_limit_grows_with_what_is_promised_and_with_the_noise(variance, scale):
    limits = [solve_limit(variance, scale, 0.1, length) for length in (1e3, 1e4, 1e5, 1e6)]
    assert limits == sorted(limits)
    assert solve_limit(2 * variance, scale, 0.1, 1e5) > limits[2]


def test_the_limit_is_that_of_siegmund_for_independent_normal_noise():
    # Siegmund 1985: k = 0.5, h = 4.389 has a run length of 500 on one side.
    limit = solve_limit(1.0, 1.0, 0.5, 500)
    length = (math.exp(limit + 1.166) - 1 - (limit + 1.166)) / 0.5
    assert length == pytest.approx(500, rel=1e-6)


# -- soon, and once


@pytest.mark.parametrize(("factor", "within"), [(1.5, 400), (2, 150), (5, 50)])
def test_a_higher_level_is_told_once_and_soon(factor, within):
    change = 4_000
    series = calls(5_500, seed=3, factor=lambda number: factor if number >= change else 1)
    levels = [one for one in watch_of(series).episodes if one.kind == "level"]
    assert len(levels) == 1
    assert change <= int(levels[0].record_id.rpartition("-")[2]) < change + within
    assert levels[0].driver == "tokens"
    assert levels[0].factor == pytest.approx(factor, rel=0.6)


def test_a_higher_rate_is_told_once_as_volume():
    change = 8_000
    series = list(calls(12_000, seed=5, rate=lambda number: 3 if number >= change else 1))
    rates = [one for one in watch_of(series).episodes if one.kind == "rate"]
    assert len(rates) == 1
    assert rates[0].driver == "volume"
    assert timedelta() < rates[0].at - series[change].at < timedelta(hours=12)


def test_an_episode_ends_where_the_level_is_back_and_the_next_is_told_anew():
    def factor(number):
        return 4 if 3_000 <= number < 3_300 or 4_200 <= number < 4_500 else 1

    watch = watch_of(calls(5_500, seed=1, factor=factor))
    levels = [one for one in watch.episodes if one.kind == "level"]
    assert [one.ended for one in levels] == ["recovered", "recovered"]
    assert levels[0].ended_at < levels[1].at
    assert not watch.open


def test_what_has_lasted_long_enough_is_the_usual():
    rules = WatchRules(accept_after_calls=500)
    series = calls(6_000, seed=1, factor=lambda number: 4 if number >= 3_000 else 1)
    levels = [one for one in watch_of(series, rules=rules).episodes if one.kind == "level"]
    assert [one.ended for one in levels] == ["accepted"]


def test_a_call_far_above_its_features_is_told_with_its_driver():
    series = list(calls(1_000, seed=2))
    series[700] = replace(series[700], cost_usd=Decimal("0.9"))
    (told,) = [one for one in watch_of(series).episodes if one.kind == "call"]
    assert told.record_id == "chat-700"
    assert told.driver == "price"
    assert told.factor > 30


def test_a_series_of_dear_calls_is_one_episode():
    series = list(calls(1_000, seed=2))
    for number in (700, 703, 710):
        series[number] = replace(series[number], cost_usd=Decimal("0.9"))
    assert [one.kind for one in watch_of(series).episodes] == ["call"]


def test_where_little_is_known_a_call_stands_out_at_ten_times_the_median():
    ordinary = [spend(cost="0.01", after_s=number, id=str(number)) for number in range(30)]
    for cost, expected in (("0.099", 0), ("0.101", 1)):
        told = watch_of([*ordinary, spend(cost=cost, after_s=40)]).episodes
        assert len(told) == expected


def test_a_run_that_goes_on_and_on_is_told_while_it_runs():
    def run(name, count, start_s):
        return [
            replace(
                spend(cost="0.01", after_s=start_s + number, id=f"{name}-{number}"),
                attribution=Attribution(feature="agent", run=name),
            )
            for number in range(count)
        ]

    usual = list(itertools.chain(*(run(f"r{number}", 5, number * 4_000) for number in range(40))))
    told = watch_of([*usual, *run("loop", 200, 200_000)]).episodes
    (runaway,) = [one for one in told if one.kind == "run"]
    assert runaway.attribution["run"] == "loop"
    assert runaway.calls < 60


def test_what_a_wider_episode_contains_is_listed_and_not_told():
    told = []
    series = [
        replace(one, attribution=Attribution(feature="chat", user="ada"))
        for one in calls(4_000, seed=3, factor=lambda number: 5 if number >= 3_000 else 1)
    ]
    watch = watch_of(series, dimensions=("feature", "user"), alerts=[told.append])
    levels = {one.dimension: one for one in watch.episodes if one.kind == "level"}
    assert levels["user"].part_of == levels["feature"].id
    assert [one.dimension for one in told if one.kind == "level"] == ["feature"]


# -- whatever comes


@settings(max_examples=50)
@given(some=records, dimensions=st.sampled_from([("feature",), ("feature", "user", "model"), ("team",)]))
def test_any_records_can_be_watched(some, dimensions):
    watch = watch_of(some, dimensions=dimensions)
    assert all(one.ended_at is None for one in watch.open)


@given(seed=st.integers(0, 10**6), burst=st.integers(1, 40))
@settings(max_examples=10, deadline=None)
def test_no_two_episodes_of_one_stream_overlap(seed, burst):
    def factor(number):
        return 8 if number // 100 % 4 == 3 and number % 100 < burst else 1

    episodes = watch_of(calls(1_500, seed=seed, factor=factor)).episodes
    by_stream = itertools.groupby(
        sorted(episodes, key=lambda one: (one.kind, one.name, one.at)), key=lambda one: (one.kind, one.name)
    )
    for _, group in by_stream:
        for earlier, later in itertools.pairwise(group):
            assert earlier.ended_at is not None
            assert earlier.ended_at <= later.at


def test_hits_and_unpriced_calls_are_not_judged_by_cost():
    some = [*calls(300, seed=1), *(hit(after_s=number, id=f"h{number}") for number in range(50))]
    watch = watch_of([*some, spend("local", None)])
    assert not watch.episodes
    assert watch.unjudged_calls == 1


def test_memory_is_bounded_by_forgetting_the_streams_heard_of_longest_ago():
    some = [
        replace(
            spend(after_s=number, id=str(number)),
            attribution=Attribution(feature=f"f{number}", run=f"r{number}"),
        )
        for number in range(500)
    ]
    watch = watch_of(some, most_streams=20)
    assert len(watch._streams) == len(watch._calls) == 20
    assert len(watch._runs._runs) == 20


def test_a_stream_that_was_away_for_a_month_begins_anew():
    series = list(calls(500, seed=1))
    late = [replace(one, at=one.at + timedelta(days=40), id=f"late-{one.id}") for one in series]
    assert not watch_of([*series, *late]).episodes


def test_threads_may_add_at_once():
    watch = AnomalyWatch(dimensions=("feature",))
    parts = [list(calls(300, seed=number, feature=f"f{number}")) for number in range(4)]
    threads = [threading.Thread(target=lambda part=part: [watch.add(one) for one in part]) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = [watch_of(part).episodes for part in parts]
    assert len(watch.episodes) == sum(map(len, alone))


# -- wiring


def dear_series():
    series = list(calls(200, seed=2))
    return [*series, replace(series[-1], cost_usd=Decimal(5), id="dear")]


def test_an_alert_that_fails_is_counted_and_the_others_hear():
    told = []

    def broken(_):
        raise RuntimeError("no")

    watch = watch_of(dear_series(), alerts=[broken, told.append])
    assert [one.kind for one in told] == ["call"]
    assert watch.failed_alerts == 1


def test_the_end_of_an_episode_is_told_where_asked_for():
    told = []
    series = dear_series()
    after = [replace(one, id=f"a{one.id}", at=series[-1].at) for one in series[:40]]
    watch_of([*series, *after], alerts=[told.append], tell_ends=True)
    assert [one.ended for one in told] == [None, "recovered"]


def test_a_report_and_a_ledger_can_be_watched():
    for_report, for_ledger = [], []
    report = CostReport()
    report.subscribe(AnomalyWatch(alerts=[for_report.append]).add)
    ledger = watched(MemoryLedger(), AnomalyWatch(alerts=[for_ledger.append]).add)
    for record in dear_series():
        report.add(record)
        ledger.record(record)
    assert [str(one) for one in for_report] == [str(one) for one in for_ledger] != []
    assert ledger.total() == report.total_usd
    assert len(list(ledger.records())) == 201


async def test_a_watch_that_fails_does_not_lose_the_record():
    def broken(_):
        raise RuntimeError("no")

    ledger = watched(MemoryLedger(), broken)
    await ledger.arecord(spend())
    assert ledger.total() == Decimal("0.01")
    assert ledger.failures == 1


def test_an_anomaly_reads_as_a_sentence_and_as_json():
    (anomaly,) = watch_of(dear_series()).episodes
    assert str(anomaly).startswith("one call of feature 'chat' cost $5.00, ")
    data = anomaly.to_dict()
    assert data["seen_usd"] == "5"
    assert data["text"] == str(anomaly)
    assert anomaly.since >= START


# -- refusals


@pytest.mark.parametrize(
    ("settings_given", "message"),
    [
        ({"alerts": [1]}, "an alert must be a function, not 1"),
        ({"dimensions": "user"}, "dimensions must be names, not 'user'"),
        ({"most_streams": 0}, "most_streams must be 1 or more, not 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings_given, message):
    with pytest.raises(ConfigurationError, match=message):
        AnomalyWatch(**settings_given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("least_change", 1),
        ("plain_factor", math.nan),
        ("run_idle_s", 0),
        ("warm_up_calls", 10),
        ("rate_bin_s", 1.5),
    ],
)
def test_rules_that_cannot_be_are_refused(name, value):
    with pytest.raises(ConfigurationError, match=f"{name} must be .*not {value!r}"):
        WatchRules(**{name: value})


def test_what_is_no_record_is_refused():
    with pytest.raises(ConfigurationError, match="a watch takes a SpendRecord, not 'x'"):
        AnomalyWatch().add("x")
