"""What is measured adds up to what was recorded, each call once, and never gets in the way of a call."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tests.core.observability.records import hit, records, spend
from tokenomics_core import Attribution, ConfigurationError, MissingExtraError, Totals, attribution
from tokenomics_core.budgets import Budgets, CallShape, Limit
from tokenomics_core.errors import BudgetExceededError
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability import (
    CallEnd,
    CallStart,
    CallTracker,
    current_scope,
    install_metrics,
    track_cost,
)
from tokenomics_core.pricing import PriceBook
from tokenomics_core.types import Usage


class Collected:
    """What a reader sees."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def points(self, name: str) -> list:
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def sum(self, name: str, **labels: str) -> float:
        """Add up the points that have the labels; dots are written as two underscores."""
        wanted = {key.replace("__", "."): value for key, value in labels.items()}
        points = [point for point in self.points(name) if wanted.items() <= dict(point.attributes).items()]
        return sum(point.value if hasattr(point, "value") else point.sum for point in points)


@pytest.fixture
def reader():
    return InMemoryMetricReader()


@pytest.fixture
def collected(reader):
    return Collected(reader)


@pytest.fixture
def metrics(reader):
    with install_metrics(MeterProvider([reader], shutdown_on_exit=False), spans=False) as metrics:
        yield metrics


def _unique(found):
    return [replace(record, id=f"{index}-{record.id}") for index, record in enumerate(found)]


@given(found=records)
def test_sums_are_those_of_the_records(found):
    reader = InMemoryMetricReader()
    collected = Collected(reader)
    found = _unique(found)
    with install_metrics(MeterProvider([reader], shutdown_on_exit=False), spans=False) as metrics:
        for record in found:
            metrics.record(record)
            metrics.record(record)
    totals = Totals.of(found)
    paid = [record for record in found if record.source != "cache"]
    assert collected.sum("tokenomics.calls") == totals.calls
    assert collected.sum("tokenomics.calls", tokenomics__source="cache") == totals.cached_calls
    assert collected.sum("tokenomics.calls.unpriced") == totals.unpriced_calls
    assert collected.sum("tokenomics.cost.usd") == pytest.approx(float(totals.cost_usd))
    assert collected.sum("tokenomics.avoided.usd") == pytest.approx(float(totals.avoided_usd))
    for name, total in (("input", totals.input_tokens), ("output", totals.output_tokens)):
        assert collected.sum("gen_ai.client.token.usage", gen_ai__token__type=name) == total
    for part in ("cache_read", "cache_write", "reasoning"):
        expected = sum(getattr(record.usage, f"{part}_tokens") or 0 for record in paid)
        assert collected.sum("tokenomics.tokens.part", tokenomics__token__part=part) == expected
    assert metrics.failures == 0


@given(values=st.lists(st.sampled_from("abcdefgh"), min_size=1), most=st.integers(1, 5))
def test_an_attribute_has_no_more_values_than_allowed_and_loses_no_call(values, most):
    reader = InMemoryMetricReader()
    with install_metrics(
        MeterProvider([reader], shutdown_on_exit=False), spans=False, most_values=most
    ) as metrics:
        for value in values:
            metrics.record(spend(feature=value))
    seen = defaultdict(int)
    for point in Collected(reader).points("tokenomics.calls"):
        seen[point.attributes["tokenomics.feature"]] += point.value
    assert len(set(seen) - {"other"}) <= most
    assert sum(seen.values()) == len(values)


# Names


def test_tokens_and_duration_have_the_names_and_buckets_of_the_conventions(metrics, collected):
    metrics.record(spend("gpt-4o-2024-08-06", provider="openai", latency_s=0.7, tokens=(100, 20)))
    usage = {
        point.attributes["gen_ai.token.type"]: point
        for point in collected.points("gen_ai.client.token.usage")
    }
    assert dict(usage["input"].attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.token.type": "input",
    }
    assert (usage["input"].sum, usage["output"].sum) == (100, 20)
    assert usage["input"].explicit_bounds == (
        *(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864),
    )
    (duration,) = collected.points("gen_ai.client.operation.duration")
    assert duration.sum == 0.7
    assert duration.explicit_bounds == (
        *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    )


@pytest.mark.parametrize(
    ("more", "name", "value"),
    [
        ({"provider": "azure"}, "gen_ai.provider.name", "azure.ai.openai"),
        ({"provider": "google_vertexai"}, "gen_ai.provider.name", "gcp.vertex_ai"),
        ({"provider": "local"}, "gen_ai.provider.name", "local"),
        ({}, "gen_ai.provider.name", "unknown"),
        ({"operation": "embedding"}, "gen_ai.operation.name", "embeddings"),
        ({"operation": "completion"}, "gen_ai.operation.name", "text_completion"),
        ({"outcome": "error"}, "error.type", "_OTHER"),
        ({"outcome": "cancelled"}, "error.type", "cancelled"),
        ({}, "error.type", None),
    ],
)
def test_values_are_the_well_known_ones(metrics, collected, more, name, value):
    metrics.record(spend(latency_s=1.0, **more))
    (duration,) = collected.points("gen_ai.client.operation.duration")
    assert duration.attributes.get(name) == value


def test_the_model_asked_for_is_told_beside_the_one_that_answered(metrics, collected):
    with track_cost():
        tracker = current_scope().tracker
        tracker.start(CallStart(key="one", model="gpt-4o", provider="openai"))
        tracker.finish(
            "one", CallEnd(usage=Usage(input_tokens=1, output_tokens=1), model="gpt-4o-2024-08-06")
        )
    labels = collected.points("gen_ai.client.token.usage")[0].attributes
    assert labels["gen_ai.request.model"] == "gpt-4o"
    assert labels["gen_ai.response.model"] == "gpt-4o-2024-08-06"


def test_users_conversations_and_runs_are_no_attributes_unless_asked_for(metrics, collected):
    who = Attribution(user="ada", conversation="c1", run="r1", feature="chat", project="shop")
    metrics.record(replace(spend(), attribution=who))
    (point,) = collected.points("tokenomics.cost.usd")
    assert dict(point.attributes) == {
        "gen_ai.provider.name": "unknown",
        "gen_ai.response.model": "gpt-4o",
        "tokenomics.source": "model",
        "tokenomics.feature": "chat",
        "tokenomics.project": "shop",
    }


def test_dimensions_and_tags_may_be_asked_for(reader, collected):
    provider = MeterProvider([reader], shutdown_on_exit=False)
    with install_metrics(provider, spans=False, dimensions=("user", "user_tier")) as metrics:
        metrics.record(spend(user="ada", tags={"user_tier": "gold"}, feature="chat"))
    labels = collected.points("tokenomics.cost.usd")[0].attributes
    assert (labels["tokenomics.user"], labels["tokenomics.user_tier"]) == ("ada", "gold")
    assert "tokenomics.feature" not in labels


# Money


def test_what_was_avoided_and_what_saving_cost_are_apart(metrics, collected):
    metrics.record(hit(avoided="0.02"))
    metrics.record(spend(avoided_usd=Decimal("0.5"), avoided_by="route"))
    metrics.record(spend(avoided_usd=Decimal("-0.125"), avoided_by="route"))
    assert collected.sum("tokenomics.avoided.usd", tokenomics__avoided_by="cache") == 0.02
    assert collected.sum("tokenomics.avoided.usd", tokenomics__avoided_by="route") == 0.5
    assert collected.sum("tokenomics.added.usd", tokenomics__avoided_by="route") == 0.125


def test_an_unknown_price_is_counted_and_costs_nothing(metrics, collected):
    metrics.record(spend("mystery", None))
    assert collected.sum("tokenomics.calls.unpriced", gen_ai__response__model="mystery") == 1
    assert collected.points("tokenomics.cost.usd") == []


def test_an_answer_from_a_cache_used_no_tokens_and_took_no_providers_time(metrics, collected):
    metrics.record(hit(latency_s=0.5, feature="chat"))
    assert collected.sum("tokenomics.calls", tokenomics__source="cache") == 1
    assert collected.points("gen_ai.client.token.usage") == []
    assert collected.points("gen_ai.client.operation.duration") == []


def test_routed_calls_name_their_tier_and_their_part(metrics, collected):
    metrics.record(spend(tags={"route_tier": "cheap", "route_role": "draft"}))
    metrics.record(spend(tags={"route_role": "judge"}))
    metrics.record(spend())
    parts = [dict(point.attributes) for point in collected.points("tokenomics.route.calls")]
    assert sorted(parts, key=len) == [
        {"tokenomics.route.role": "judge"},
        {"tokenomics.route.tier": "cheap", "tokenomics.route.role": "draft"},
    ]


# Which calls


class _Failing(MemoryLedger):
    def record(self, record):
        raise OSError("no disk")


def _call(tracker, key, **more):
    tracker.start(CallStart(key=key, model="gpt-4o", provider="openai", **more))
    tracker.finish(key, CallEnd(usage=Usage(input_tokens=1000, output_tokens=100)))


def test_a_call_that_blocks_and_a_ledger_hear_of_is_measured_once(metrics, collected):
    handler = CallTracker(MemoryLedger().record, prices=PriceBook(), bills=True)
    with track_cost(ledger=MemoryLedger()), track_cost() as inner:
        _call(current_scope().tracker, "same")
        _call(handler, "same")
    assert collected.sum("tokenomics.calls") == 1
    assert collected.sum("tokenomics.cost.usd") == float(inner.total_usd) == 0.0035


def test_a_tracker_that_bills_nobody_is_not_measured(metrics, collected):
    _call(CallTracker(lambda record: None, prices=PriceBook()), "listening")
    assert collected.points("tokenomics.calls") == []


def test_calls_are_measured_where_the_ledger_fails(metrics, collected):
    with track_cost(ledger=_Failing()) as cost:
        _call(current_scope().tracker, "one")
    assert collected.sum("tokenomics.calls") == 1
    assert cost.failures == 1


def test_nothing_is_measured_before_and_after(reader, collected):
    with track_cost():
        _call(current_scope().tracker, "before")
        with install_metrics(MeterProvider([reader], shutdown_on_exit=False)) as metrics:
            _call(current_scope().tracker, "during")
        _call(current_scope().tracker, "after")
    metrics.record(spend())
    metrics.uninstall()
    assert collected.sum("tokenomics.calls") == 1


def test_metrics_may_be_installed_again_for_the_same_provider(reader, collected):
    provider = MeterProvider([reader], shutdown_on_exit=False)
    for _ in range(2):
        with install_metrics(provider, spans=False) as metrics:
            metrics.watch_budgets(Budgets([Limit("all", usd=1)]))
            metrics.record(spend(cost="0.25"))
            assert collected.sum("tokenomics.budget.left") == 1
        assert collected.points("tokenomics.budget.left") == []
    assert collected.sum("tokenomics.cost.usd") == 0.5


# Never in the way


class _Broken:
    """A provider whose instruments raise."""

    def get_meter(self, name, version=None):
        return self

    def create_counter(self, *args, **more):
        return self

    create_histogram = create_observable_counter = create_observable_gauge = create_counter

    def add(self, *args):
        raise RuntimeError("broken")

    record = add


def test_what_cannot_be_measured_is_logged_once_counted_and_harms_no_call(caplog):
    with install_metrics(_Broken()) as metrics, track_cost() as cost:
        _call(current_scope().tracker, "one")
        _call(current_scope().tracker, "two")
    assert (metrics.failures, cost.failures, len(cost.calls)) == (2, 0, 2)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


PROCESS = """
from opentelemetry import metrics as otel
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.core.observability.records import spend
from tests.core.observability.test_metrics import Collected
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.observability import install_metrics

first = install_metrics(spans=False)
first.watch_budgets(Budgets([Limit("all", usd=1)]))
reader = InMemoryMetricReader()
otel.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
first.record(spend())
collected = Collected(reader)
print(collected.sum("tokenomics.calls"), collected.sum("tokenomics.budget.left"))
try:
    install_metrics()
except ValueError as error:
    print(error)
first.uninstall()
with install_metrics(spans=False) as second:
    second.watch_budgets(Budgets([Limit("all", usd=2)]))
    second.record(spend())
    print(collected.sum("tokenomics.calls"), collected.sum("tokenomics.budget.left"))
"""


def test_the_provider_of_the_process_may_be_set_later_and_is_measured_for_once():
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", PROCESS], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.stdout.splitlines() == [
        "1 1.0",
        "metrics are installed for this provider already; uninstall those first",
        "2 2.0",
    ], done.stderr


def test_a_provider_that_does_nothing_is_fine():
    with install_metrics(NoOpMeterProvider()) as metrics:
        metrics.record(spend())
    assert metrics.failures == 0


# Refusals


def test_a_provider_is_measured_for_once():
    provider = NoOpMeterProvider()
    with install_metrics(provider), pytest.raises(ConfigurationError, match="already"):
        install_metrics(provider)


@pytest.mark.parametrize("dimensions", [("model",), ("feature", "feature"), ("",), (3,)])
def test_wrong_dimensions_are_refused(dimensions):
    with pytest.raises(ConfigurationError, match="dimensions must be"):
        install_metrics(NoOpMeterProvider(), dimensions=dimensions)


@pytest.mark.parametrize("most", [0, True, "3"])
def test_a_wrong_bound_is_refused(most):
    with pytest.raises(ConfigurationError, match="most_values must be"):
        install_metrics(NoOpMeterProvider(), most_values=most)


def test_what_makes_no_meters_is_refused():
    with pytest.raises(ConfigurationError, match="makes no meters"):
        install_metrics(object())


def test_without_opentelemetry_the_extra_is_named_and_everything_else_works():
    code = """
import sys
sys.modules["opentelemetry"] = None
from tokenomics_core.observability import install_metrics, track_cost
with track_cost():
    pass
try:
    install_metrics()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("pip install 'token-economics[otel]'")
    assert issubclass(MissingExtraError, ImportError)


# Budgets, caches, routers


def test_budgets_tell_what_is_left_spent_and_refused(metrics, collected):
    budgets = Budgets(
        [
            Limit("all", usd=10, window="day"),
            Limit("feature", calls=3),
            Limit("user", usd=1),
            Limit("user", usd=5, match={"user_tier": "gold"}),
        ]
    )
    metrics.watch_budgets(budgets, accounts=[Attribution(user="ada", tags={"user_tier": "gold"})])
    with attribution(user="ada", feature="chat", user_tier="gold"):
        budgets.settle(budgets.reserve(usd="0.5"), usd="0.25")
        with pytest.raises(BudgetExceededError):
            budgets.reserve(usd="20")
    assert collected.sum("tokenomics.budget.left", tokenomics__budget__scope="all") == 9.75
    assert collected.sum("tokenomics.budget.limit", tokenomics__budget__key="ada") == 5
    assert collected.sum("tokenomics.budget.spent", tokenomics__budget__key="ada") == 0.25
    assert collected.sum("tokenomics.budget.left", tokenomics__budget__scope="feature") == 0
    metrics.record(spend(feature="chat"))  # a feature with a series of its own is watched from now on
    assert collected.sum("tokenomics.budget.left", tokenomics__budget__scope="feature") == 2
    refused = [
        (dict(point.attributes), point.value) for point in collected.points("tokenomics.budget.refusals")
    ]
    assert refused == [
        (
            {
                "tokenomics.budget.name": "default",
                "tokenomics.budget.scope": "all",
                "tokenomics.budget.window": "day",
                "tokenomics.budget.unit": "usd",
            },
            1,
        )
    ]


async def test_every_way_to_reserve_counts_its_refusals_once():
    budgets = Budgets([Limit("all", usd="0.01")], prices=PriceBook())
    shape = CallShape(model="gpt-4o", provider="openai", input_tokens=10**6, max_output_tokens=10)
    for refused in (lambda: budgets.reserve(usd=1), lambda: budgets.reserve_call(shape)):
        with pytest.raises(BudgetExceededError):
            refused()
    for refused in (lambda: budgets.areserve(usd=1), lambda: budgets.areserve_call(shape)):
        with pytest.raises(BudgetExceededError):
            await refused()
    with pytest.raises(BudgetExceededError):  # its output is fitted again and again, and it is one call
        budgets.reserve_call(replace(shape, max_output_tokens=None, fit_output=True))
    assert budgets.counters.refusals == {("all", "total", "usd"): 5}


class _Stats:
    """A source that answers with the next statistics."""

    def __init__(self, *answers):
        self._answers = list(answers)

    def stats(self):
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_cache_tells_what_came_of_look_ups_and_never_counts_back(metrics, collected):
    from tokenomics_core.cache import CacheStats

    first = CacheStats(hits_exact=2, hits_semantic=1, misses={"unsure": 4}, entries=3)
    metrics.watch_cache(_Stats(first, replace(first, misses={"unsure": 3})), name="answers")
    for _ in range(2):
        points = collected.points("tokenomics.cache.lookups")
        assert {point.attributes["tokenomics.cache.outcome"]: point.value for point in points} == {
            "hit_exact": 2,
            "hit_semantic": 1,
            "hit_shared": 0,
            "miss": 4,
        }
    assert collected.sum("tokenomics.cache.entries") == 3


def test_a_router_tells_its_decisions_and_escalations(metrics, collected):
    from tokenomics_core.routing import Router, Tier

    router = Router([Tier(name="cheap", model="gpt-4o-mini"), Tier(name="dear", model="gpt-4o")])
    metrics.watch_router(router)
    router.note("escalations")
    router.note("cascades")
    assert collected.sum("tokenomics.route.escalations") == 1
    assert collected.sum("tokenomics.route.cascades") == 1
    tiers = {
        point.attributes["tokenomics.route.tier"] for point in collected.points("tokenomics.route.decisions")
    }
    assert tiers == {"cheap", "dear"}


def test_a_source_that_cannot_be_read_is_left_out_and_counted(metrics, collected, caplog):
    metrics.watch_cache(_Stats(OSError("gone")), name="lost")
    metrics.watch_budgets(Budgets([Limit("all", usd=2)]))
    assert collected.sum("tokenomics.budget.left") == 2
    assert metrics.failures == 1
    assert len(caplog.records) == 1


def test_a_name_is_watched_once(metrics):
    metrics.watch_cache(_Stats(None))
    with pytest.raises(ConfigurationError, match="another name"):
        metrics.watch_cache(_Stats(None))
    metrics.watch_router(_Stats(None))


def test_what_has_no_statistics_is_refused(metrics):
    with pytest.raises(ConfigurationError, match="has no stats"):
        metrics.watch_router(object())


def test_after_the_end_nothing_can_be_watched(metrics):
    metrics.uninstall()
    with pytest.raises(ConfigurationError, match="uninstalled"):
        metrics.watch_cache(_Stats(None))
