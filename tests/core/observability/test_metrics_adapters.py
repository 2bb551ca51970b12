"""Calls of both adapters are measured as their ledgers have them, on every path, on the caller's own span."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from examples.provider import LoopbackProvider, ProviderAnswer, ProviderUsage, ScriptedEngine
from tests.core.observability.test_metrics import Collected
from tokenomics_core import attribution
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability import install_metrics

USAGE = ProviderUsage(input_tokens=1000, output_tokens=100)
EACH_USD = 0.0035  # 1,000 tokens at $2.50 and 100 at $10 per million


@pytest.fixture
def engine():
    return ScriptedEngine(always=ProviderAnswer(text="Yes indeed.", usage=USAGE))


@pytest.fixture
def url(engine):
    with LoopbackProvider(engine) as provider:
        yield provider.openai_url


@pytest.fixture
def collected():
    reader = InMemoryMetricReader()
    with install_metrics(MeterProvider([reader], shutdown_on_exit=False)) as metrics:
        yield Collected(reader)
    assert metrics.failures == 0


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("application")


def langchain(url, **more):
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model="gpt-4o", base_url=url, api_key="unused", stream_usage=True, max_retries=0, **more
    )


def llama_index(url):
    from llama_index.llms.openai_like import OpenAILike

    return OpenAILike(model="gpt-4o", api_base=url, api_key="unused", is_chat_model=True, max_retries=0)


def _consume(stream):
    for _ in stream:
        pass


async def _consume_later(stream):
    async for _ in stream:
        pass


LANGCHAIN = {
    "invoke": lambda model: model.invoke("hi"),
    "stream": lambda model: _consume(model.stream("hi")),
    "ainvoke": lambda model: asyncio.run(model.ainvoke("hi")),
    "astream": lambda model: asyncio.run(_consume_later(model.astream("hi"))),
}


async def _astream(model):
    await _consume_later(await model.astream_complete("hi"))


LLAMA_INDEX = {
    "complete": lambda model: model.complete("hi"),
    "stream": lambda model: _consume(model.stream_complete("hi")),
    "acomplete": lambda model: asyncio.run(model.acomplete("hi")),
    "astream": lambda model: asyncio.run(_astream(model)),
}
PATHS = [
    *(pytest.param(langchain, run, id=f"langchain-{name}") for name, run in LANGCHAIN.items()),
    *(pytest.param(llama_index, run, id=f"llama_index-{name}") for name, run in LLAMA_INDEX.items()),
]


@pytest.mark.parametrize(("make", "run"), PATHS)
def test_a_call_is_measured_as_the_ledger_has_it_and_written_on_the_callers_span(
    make, run, url, collected, tracer, exporter
):
    from langchain_tokenomics import track_cost
    from llama_index_tokenomics import track_cost as track_llama_index

    ledger, model = MemoryLedger(), make(url)
    track = track_cost if make is langchain else track_llama_index
    with (
        track(ledger=ledger),
        attribution(feature="chat", user="ada"),
        tracer.start_as_current_span("request"),
    ):
        run(model)
    assert float(ledger.total()) == EACH_USD
    assert collected.sum("tokenomics.cost.usd", tokenomics__feature="chat") == EACH_USD
    assert collected.sum("gen_ai.client.token.usage", gen_ai__request__model="gpt-4o") == 1100
    assert collected.sum("gen_ai.client.operation.duration") > 0
    (span,) = exporter.get_finished_spans()
    assert span.attributes["tokenomics.cost.usd"] == EACH_USD
    assert span.events[0].attributes["tokenomics.record.id"] == next(iter(ledger.records())).id


def test_trackers_of_the_whole_process_are_measured_too(url, collected):
    from langchain_tokenomics import CostCallbackHandler
    from llama_index_tokenomics import install_cost_tracking

    handler = CostCallbackHandler()
    langchain(url, callbacks=[handler]).invoke("hi")
    with install_cost_tracking(MemoryLedger()):
        llama_index(url).complete("hi")
    assert collected.sum("tokenomics.calls") == 2
    assert collected.sum("tokenomics.cost.usd") == pytest.approx(2 * EACH_USD)


def test_a_call_that_three_trackers_see_is_measured_once(url, collected):
    from langchain_tokenomics import CostCallbackHandler, track_cost

    handlers = [CostCallbackHandler(), CostCallbackHandler(MemoryLedger())]
    with track_cost() as cost:
        langchain(url).batch(["hi", "ho"], {"callbacks": handlers})
    assert len(cost.calls) == 2
    assert collected.sum("tokenomics.calls") == 2


def test_answers_from_a_cache_are_told_apart_and_what_they_avoided_is_kept(url, collected):
    from langchain_tokenomics import SemanticCache, track_cost

    cache = SemanticCache()
    model = cache.cached(langchain(url))
    with track_cost() as cost:
        for _ in range(3):
            model.invoke("How do I reset my password?")
    assert collected.sum("tokenomics.calls", tokenomics__source="cache") == 2
    assert collected.sum("tokenomics.avoided.usd", tokenomics__avoided_by="cache") == pytest.approx(
        float(cost.avoided_usd)
    )
    cache.close()


def test_a_stream_that_was_cut_says_how_it_ended(engine, url, collected):
    from langchain_tokenomics import track_cost

    engine.always(ProviderAnswer(text="Yes indeed. " * 50, usage=USAGE))
    with track_cost() as cost:
        stream = langchain(url).stream("hi")
        next(stream)
        stream.close()
    (record,) = cost.calls
    assert record.outcome != "ok"
    assert collected.sum("tokenomics.calls", tokenomics__outcome=record.outcome) == 1
    assert collected.sum("gen_ai.client.operation.duration", error__type=record.outcome) > 0


async def test_calls_that_run_at_once_find_their_own_spans(url, collected, tracer, exporter):
    from langchain_tokenomics import track_cost

    model = langchain(url)

    async def answer(index: int) -> None:
        with tracer.start_as_current_span(f"request {index}"), attribution(feature=f"feature {index}"):
            await model.ainvoke(f"question {index}")

    with track_cost():
        await asyncio.gather(*(answer(index) for index in range(8)))
    spans = exporter.get_finished_spans()
    assert [span.attributes["tokenomics.calls"] for span in spans] == [1] * 8
    assert (
        len({point.attributes["tokenomics.feature"] for point in collected.points("tokenomics.calls")}) == 8
    )
