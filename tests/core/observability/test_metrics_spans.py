"""The application's own span says what the calls inside it cost."""

from __future__ import annotations

import gc
from decimal import Decimal

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tests.core.observability.records import hit, spend
from tokenomics_core.observability import install_metrics


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("application")


@pytest.fixture
def metrics():
    with install_metrics(NoOpMeterProvider()) as metrics:
        yield metrics
    assert metrics.failures == 0


def test_a_span_carries_its_call(metrics, tracer, exporter):
    with tracer.start_as_current_span("answer"):
        metrics.record(
            spend(
                "gpt-4o",
                "0.01",
                tags={"route_tier": "cheap", "route_id": "r7"},
                avoided_usd=Decimal("0.02"),
                avoided_by="route",
                id="call-1",
            )
        )
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes) == {
        "tokenomics.calls": 1,
        "tokenomics.calls.unpriced": 0,
        "tokenomics.cost.usd": 0.01,
        "tokenomics.avoided.usd": 0.02,
        "tokenomics.source": "model",
        "tokenomics.avoided_by": "route",
        "tokenomics.route.tier": "cheap",
        "tokenomics.route.id": "r7",
    }
    (event,) = span.events
    assert event.name == "tokenomics.call"
    assert event.attributes["gen_ai.response.model"] == "gpt-4o"
    assert event.attributes["gen_ai.usage.input_tokens"] == 100
    assert event.attributes["tokenomics.record.id"] == "call-1"


def test_a_span_with_several_calls_carries_their_exact_sums(metrics, tracer, exporter):
    with tracer.start_as_current_span("chain"):
        for _ in range(3):
            metrics.record(spend(cost="0.1"))
        metrics.record(spend("mystery", None))
        metrics.record(hit(avoided="0.5"))
    (span,) = exporter.get_finished_spans()
    assert span.attributes["tokenomics.calls"] == 5
    assert span.attributes["tokenomics.calls.unpriced"] == 1
    assert span.attributes["tokenomics.cost.usd"] == 0.3
    assert span.attributes["tokenomics.avoided.usd"] == 0.5
    assert span.attributes["tokenomics.source"] == "several"
    assert "tokenomics.cost.usd" not in span.events[3].attributes  # unknown is never zero
    assert [event.attributes["tokenomics.source"] for event in span.events] == [*["model"] * 4, "cache"]


def test_only_the_innermost_span_is_written_on(metrics, tracer, exporter):
    with tracer.start_as_current_span("request"), tracer.start_as_current_span("answer"):
        metrics.record(spend())
    inner, outer = exporter.get_finished_spans()
    assert inner.attributes["tokenomics.calls"] == 1
    assert not outer.attributes


def test_without_a_span_or_with_one_that_is_not_recorded_nothing_happens(metrics):
    metrics.record(spend())
    tracer = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("application")
    with tracer.start_as_current_span("answer"):
        metrics.record(spend())


def test_spans_can_be_left_alone(tracer, exporter):
    with (
        install_metrics(NoOpMeterProvider(), spans=False) as metrics,
        tracer.start_as_current_span("answer"),
    ):
        metrics.record(spend())
    assert not exporter.get_finished_spans()[0].attributes


def test_no_span_is_held_after_it_ended(metrics, tracer, exporter):
    with tracer.start_as_current_span("answer"):
        metrics.record(spend())
    sums = metrics._spans.__self__._sums
    exporter.clear()
    gc.collect()
    assert len(sums) == 0
