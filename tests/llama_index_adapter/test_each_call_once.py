"""A provider call counts once, whatever number of events LlamaIndex sends for it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback

from llama_index_tokenomics import install_cost_tracking, track_cost
from tests.prices_by_hand import usd
from tokenomics_core.ledger import MemoryLedger

HI = [ChatMessage(role="user", content="hi")]
USED = {"prompt_tokens": 100, "completion_tokens": 20}
COST = usd("gpt-4o", input=100, output=20)


class Told(CustomLLM):
    """A model on the base class for own models, whose chat methods go through its text methods."""

    reports: bool = True

    @property
    def metadata(self):
        return LLMMetadata(model_name="gpt-4o")

    def _raw(self):
        return {"usage": dict(USED)} if self.reports else None

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text="one two", raw=self._raw())

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        def pieces():
            yield CompletionResponse(text="one", delta="one", raw=None)
            yield CompletionResponse(text="one two", delta=" two", raw=self._raw())

        return pieces()


class Decorated(Told):
    """A model that asks another one and sends events of its own."""

    inner: Told

    @llm_chat_callback()
    def chat(self, messages, **kwargs):
        return self.inner.chat(messages, **kwargs)

    @llm_chat_callback()
    async def achat(self, messages, **kwargs):
        return await self.inner.achat(messages, **kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages, **kwargs):
        return self.inner.stream_chat(messages, **kwargs)


class Lazy(Decorated):
    """A model that asks another one when its answer is read."""

    @llm_chat_callback()
    def stream_chat(self, messages, **kwargs):
        def pieces():
            yield from self.inner.stream_chat(messages, **kwargs)

        return pieces()


class Elsewhere(Decorated):
    """A model that asks another one in a thread which knows nothing of the caller's context."""

    @llm_chat_callback()
    def chat(self, messages, **kwargs):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self.inner.chat, messages).result()


class Twice(Decorated):
    """A model that asks another one two times for one answer, as a cascade does."""

    @llm_chat_callback()
    def chat(self, messages, **kwargs):
        self.inner.chat(messages, **kwargs)
        return self.inner.chat(messages, **kwargs)


def drain(stream):
    return list(stream)


async def adrain(awaitable):
    return [item async for item in await awaitable]


PATHS = {
    "complete": lambda llm: llm.complete("x"),
    "chat": lambda llm: llm.chat(HI),
    "acomplete": lambda llm: llm.acomplete("x"),
    "achat": lambda llm: llm.achat(HI),
    "stream_complete": lambda llm: drain(llm.stream_complete("x")),
    "stream_chat": lambda llm: drain(llm.stream_chat(HI)),
    "astream_complete": lambda llm: adrain(llm.astream_complete("x")),
    "astream_chat": lambda llm: adrain(llm.astream_chat(HI)),
}
WRAPPED = {name: PATHS[name] for name in ("chat", "achat", "stream_chat", "astream_chat")}


async def report_of(path, llm):
    with track_cost() as report:
        done = path(llm)
        if asyncio.iscoroutine(done):
            await done
    return report


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
async def test_a_model_whose_methods_call_each_other_counts_once(path):
    report = await report_of(path, Told())
    assert [record.cost_usd for record in report.calls] == [COST]


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
async def test_it_counts_once_where_it_reports_nothing_either(path):
    report = await report_of(path, Told(reports=False))
    assert [record.estimated for record in report.calls] == [True]
    assert report.total_usd > 0


@pytest.mark.parametrize("path", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("wrapper", [Decorated, Lazy])
@pytest.mark.parametrize("reports", [True, False])
async def test_a_model_around_a_model_counts_once(path, wrapper, reports):
    report = await report_of(path, wrapper(inner=Told(reports=reports)))
    assert len(report.calls) == 1


async def test_three_models_around_each_other_count_once():
    report = await report_of(PATHS["astream_chat"], Lazy(inner=Decorated(inner=Decorated(inner=Told()))))
    assert [record.cost_usd for record in report.calls] == [COST]


def test_two_calls_for_one_answer_count_twice():
    with track_cost() as report:
        Twice(inner=Told()).chat(HI)
    assert [record.cost_usd for record in report.calls] == [COST, COST]


def test_a_call_made_in_a_foreign_thread_is_not_counted_again_by_its_wrapper():
    ledger = MemoryLedger()
    with install_cost_tracking(ledger):
        Elsewhere(inner=Told()).chat(HI)
        Elsewhere(inner=Told(reports=False)).chat(HI)
    assert ledger.totals().calls == 2
    with track_cost() as report:
        Elsewhere(inner=Told()).chat(HI)
    assert [record.cost_usd for record in report.calls] == [COST]


def test_equal_answers_of_separate_calls_count_each():
    shared = ChatResponse(message=ChatMessage(content="same"), raw={"usage": dict(USED)})

    class Same(Told):
        @llm_chat_callback()
        def chat(self, messages, **kwargs):
            return shared

    with track_cost() as report:
        Same().chat(HI)
        Same().chat(HI)
    assert [record.cost_usd for record in report.calls] == [COST, COST]


async def test_streams_read_in_turns_count_each():
    llm = Told()
    with track_cost() as report:
        first, second = llm.stream_chat(HI), llm.stream_chat(HI)
        for _ in zip(first, second, strict=True):
            pass
        list(first), list(second)
    assert [record.cost_usd for record in report.calls] == [COST, COST]


def test_the_whole_matters_where_usage_comes_before_the_last_piece():
    class Early(Told):
        @llm_completion_callback()
        def stream_complete(self, prompt, formatted=False, **kwargs):
            def pieces():
                yield CompletionResponse(text="one", delta="one", raw={"usage": dict(USED)})
                yield CompletionResponse(text="one", delta="", raw={"usage": None})

            return pieces()

    with track_cost() as report:
        drain(Early().stream_complete("x"))
    assert [record.cost_usd for record in report.calls] == [COST]
