"""Where a provider reports nothing the call is counted, marked as an estimate and never billed as zero."""

import asyncio
import gc
from uuid import UUID

import pytest
import tiktoken
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.llms import BaseLLM
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_openai import ChatOpenAI

from examples.provider import Cut, Fail, ProviderAnswer, ProviderError, ProviderUsage, Stall
from langchain_tokenomics import CostCallbackHandler, track_cost
from langchain_tokenomics._messages import call_end
from tests.prices_by_hand import usd

QUESTION = "How many roads must a man walk down before you call him a man?"
WORDS = "The answer, my friend, is blowing in the wind."


def bill_of(record):
    return usd(record.model, input=record.usage.input_tokens, output=record.usage.output_tokens)


def counted(text):
    return len(tiktoken.get_encoding("o200k_base").encode(text))


@pytest.fixture(autouse=True)
def vocabulary(monkeypatch):
    """Let tiktoken read the copy of its vocabulary that llama-index-core carries."""
    from importlib.util import find_spec
    from pathlib import Path

    folder = Path(find_spec("llama_index.core").origin).parent / "_static" / "tiktoken_cache"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))


def silent(world, text=WORDS):
    world.engine.queue(ProviderAnswer(text=text, usage=None))


async def test_a_stream_without_usage_is_counted_as_the_provider_would(world):
    world.engine.always(ProviderAnswer(text=WORDS, usage=ProviderUsage(input_tokens=9, output_tokens=9)))
    model = world.openai(stream_usage=False)
    with track_cost() as report:
        list(model.stream(QUESTION))
        [chunk async for chunk in model.astream(QUESTION)]
    for record in report.calls:
        assert record.estimated
        assert record.outcome == "ok"
        assert record.usage.output_tokens == counted(WORDS)
        # OpenAI's cookbook: 3 tokens a message, 1 for the role, 3 to prime the answer
        assert record.usage.input_tokens == counted(QUESTION) + 7
        assert record.cost_usd == bill_of(record)
    assert len(report.calls) == 2
    assert report.estimated_calls == 2


async def test_an_invoke_without_usage_is_counted_too(world):
    silent(world)
    with track_cost() as report:
        await world.openai().ainvoke(QUESTION)
    (record,) = report.calls
    assert record.estimated
    assert record.usage.output_tokens == counted(WORDS)


def test_a_stream_that_is_left_early_is_billed_for_what_arrived(world):
    world.says(WORDS * 50, input_tokens=50, output_tokens=500)
    with track_cost() as report:
        stream = world.openai().stream(QUESTION)
        heard = "".join(next(stream).text for _ in range(6))
        stream.close()
    (record,) = report.calls
    assert (record.outcome, record.estimated) == ("aborted", True)
    assert record.usage.output_tokens == counted(heard)
    assert record.cost_usd == bill_of(record) > 0


def test_a_stream_that_is_dropped_is_billed_when_it_is_collected(world):
    world.says(WORDS * 50, input_tokens=50, output_tokens=500)
    with track_cost() as report:
        stream = world.openai().stream(QUESTION)
        next(stream), next(stream)
        del stream
        gc.collect()
    assert [record.outcome for record in report.calls] == ["aborted"]


def test_a_stream_that_is_read_on_after_the_block_is_still_counted_exactly(world):
    world.says(WORDS, input_tokens=50, output_tokens=10)
    with track_cost() as report:
        stream = world.openai().stream(QUESTION)
        next(stream)
    assert report.calls == []
    list(stream)
    assert [record.cost_usd for record in report.calls] == [usd("gpt-4o", input=50, output=10)]


async def test_an_async_stream_that_is_left_or_cancelled_is_billed_for_what_arrived(world):
    world.says(WORDS * 50, input_tokens=50, output_tokens=500)
    async with track_cost() as left:
        stream = world.openai().astream(QUESTION)
        async for _ in stream:
            break
        await stream.aclose()
    assert [record.outcome for record in left.calls] == ["aborted"]

    world.says(WORDS * 50, input_tokens=50, output_tokens=500)
    stall = Stall(after_chunks=5)
    world.provider.inject(stall)

    async def read():
        return [chunk async for chunk in world.openai().astream(QUESTION)]

    async with track_cost() as cancelled:
        task = asyncio.create_task(read())
        await asyncio.to_thread(stall.reached.wait)
        while not task.done():
            # LangChain reads each piece with `wait_for`, which in Python 3.11 forgets a cancellation that
            # comes together with the piece.
            task.cancel()
            await asyncio.wait({task}, timeout=1)
        assert task.cancelled()
    (record,) = cancelled.calls
    assert record.outcome in {"cancelled", "aborted"}
    assert record.cost_usd == bill_of(record) > 0


async def test_a_cancelled_call_is_billed_for_its_input(world):
    stall = Stall()
    world.provider.inject(stall, times=None)
    async with track_cost() as report:
        task = asyncio.create_task(world.openai().ainvoke(QUESTION))
        await asyncio.to_thread(stall.reached.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    (record,) = report.calls
    assert (record.outcome, record.estimated, record.usage.output_tokens) == ("cancelled", True, 0)
    assert record.usage.input_tokens == counted(QUESTION) + 7
    assert record.cost_usd == bill_of(record) > 0


async def test_a_call_that_its_own_task_gives_up_is_billed_when_the_block_ends(world):
    stall = Stall()
    world.provider.inject(stall, times=None)

    async def ask():
        async with asyncio.timeout(None) as scope:
            asyncio.get_running_loop().run_in_executor(None, give_up, asyncio.get_running_loop(), scope)
            await world.openai().ainvoke(QUESTION)

    def give_up(loop, scope):
        stall.reached.wait()
        loop.call_soon_threadsafe(scope.reschedule, 0)

    async with track_cost() as report:
        with pytest.raises(TimeoutError):
            await ask()
    assert [record.outcome for record in report.calls] == ["cancelled"]


async def test_a_handler_without_a_block_records_a_cancelled_call_as_well(world):
    stall = Stall()
    world.provider.inject(stall, times=None)
    handler = CostCallbackHandler()
    task = asyncio.create_task(world.openai().ainvoke(QUESTION, config={"callbacks": [handler]}))
    await asyncio.to_thread(stall.reached.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert [record.outcome for record in handler.report.calls] == ["cancelled"]


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
async def test_a_refused_call_costs_nothing_and_is_no_call(world, status):
    world.provider.inject(Fail(status=status), times=None)
    with track_cost() as report:
        with pytest.raises(Exception, match=str(status)):
            world.openai().invoke(QUESTION)
        with pytest.raises(Exception, match=str(status)):
            await world.anthropic().ainvoke(QUESTION)
    assert report.calls == []


def test_a_connection_that_was_never_made_costs_nothing(world):
    world.provider.close()
    with track_cost() as report, pytest.raises(Exception, match="Connection"):
        world.openai().invoke(QUESTION)
    assert report.calls == []
    world.provider.start = lambda: world.provider


def test_a_stream_that_breaks_is_billed_for_what_arrived(world):
    world.says(WORDS * 20, input_tokens=50, output_tokens=200)
    world.provider.inject(Cut(after_chunks=6))
    with track_cost() as report, pytest.raises(Exception, match=r"peer closed|incomplete|connection"):
        list(world.openai().stream(QUESTION))
    (record,) = report.calls
    assert (record.outcome, record.estimated) == ("error", True)
    assert record.usage.output_tokens > 0


def test_an_answer_that_was_paid_and_then_refused_by_the_client_is_billed_exactly(world):
    from pydantic import BaseModel

    class Answer(BaseModel):
        number: int

    world.says('{"number": ', input_tokens=80, output_tokens=16, finish_reason="length")
    with track_cost() as report, pytest.raises(Exception, match="length"):
        world.openai().with_structured_output(Answer).invoke(QUESTION)
    assert [record.cost_usd for record in report.calls] == [usd("gpt-4o", input=80, output=16)]


def test_a_failing_prompt_does_not_hide_what_its_sibling_cost(world):
    world.engine.queue(
        ProviderAnswer(text=WORDS, usage=ProviderUsage(input_tokens=50, output_tokens=10)),
        ProviderError(400, "no"),
    )
    with track_cost() as report, pytest.raises(Exception, match="no"):
        world.openai().generate([[HumanMessage(text)] for text in ("good", "bad", "never sent")])
    (record,) = report.calls
    assert record.estimated
    assert record.usage.input_tokens == counted("good") + 7


class TextModel(BaseLLM):
    """A text model that reports one usage for all its prompts, as OpenAI's does."""

    @property
    def _llm_type(self):
        return "text"

    @property
    def _identifying_params(self):
        return {"model_name": "gpt-4o"}

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
        return LLMResult(
            generations=[[Generation(text=WORDS)] for _ in prompts],
            llm_output={
                "model_name": "gpt-4o",
                "token_usage": {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42},
            },
        )


async def test_a_text_model_that_answers_many_prompts_at_once_is_billed_once():
    model = TextModel()
    with track_cost() as report:
        model.generate(["a", "b", "c"])
        await model.ainvoke("d")
    assert report.total_usd == usd("gpt-4o", input=60, output=24)
    assert {record.operation for record in report.calls} == {"completion"}


def test_a_usage_that_contradicts_itself_does_not_lose_the_record(world):
    world.says(WORDS, input_tokens=10, cache_read_tokens=500, output_tokens=10)
    with track_cost() as report:
        assert isinstance(world.openai(), ChatOpenAI)
        world.openai().invoke(QUESTION)
    assert len(report.calls) == 1


def test_a_usage_that_was_mended_says_so_on_the_record_and_in_the_report(world):
    world.says(WORDS, input_tokens=100, output_tokens=10, reasoning_tokens=40)
    with track_cost() as report:
        world.openai("gpt-5").invoke(QUESTION)
    (record,) = report.calls
    note = "more tokens were reported as reasoning than as output; they were added to the output"
    assert record.usage.output_tokens == 50
    assert record.notes == (note,)
    assert f"{note} (1 call)" in " ".join(str(report).split())  # however wide the terminal is


class Objector(BaseCallbackHandler):
    """Somebody else's handler, which stops a stream at its first token."""

    raise_error = True

    def on_llm_new_token(self, token, **kwargs):
        raise RuntimeError("not this word")


async def test_a_stream_that_another_handler_stops_at_its_first_token_was_sent_and_is_billed(world):
    world.engine.always(ProviderAnswer(text=WORDS, usage=ProviderUsage(input_tokens=9, output_tokens=9)))
    model = world.openai()
    with track_cost() as report:
        with pytest.raises(RuntimeError, match="not this word"):
            list(model.stream(QUESTION, config={"callbacks": [Objector()]}))
        with pytest.raises(RuntimeError, match="not this word"):
            [chunk async for chunk in model.astream(QUESTION, config={"callbacks": [Objector()]})]
    assert [(record.outcome, record.estimated) for record in report.calls] == [("error", True)] * 2
    for record in report.calls:
        assert record.usage.input_tokens == counted(QUESTION) + 7
        assert record.cost_usd == bill_of(record) > 0


class StreamingTextModel(TextModel):
    """A text model whose usage is an empty table even for its one prompt, as OpenAI's is when it streams."""

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
        result = super()._generate(prompts, stop, run_manager, **kwargs)
        return LLMResult(
            generations=result.generations, llm_output={"model_name": "gpt-4o", "token_usage": {}}
        )


async def test_a_text_model_that_reports_an_empty_usage_is_counted():
    with track_cost() as report:
        StreamingTextModel().invoke("a")
        await StreamingTextModel().ainvoke("b")
    assert [(record.estimated, record.usage.output_tokens) for record in report.calls] == [
        (True, counted(WORDS))
    ] * 2


def marked(ttl):
    block = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": ttl}}
    return HumanMessage([block])


@pytest.mark.parametrize(
    ("ttls", "kind", "estimated"),
    [(["1h"], "w1h", False), (["5m"], "w5m", False), (["1h", "5m"], "w5m", True)],
)
async def test_writes_of_an_anthropic_stream_are_priced_by_the_lifetime_asked_for(
    world, ttls, kind, estimated
):
    usage = {"w1h": "cache_write_1h_tokens", "w5m": "cache_write_5m_tokens"}[kind]
    world.says(WORDS, input_tokens=5100, output_tokens=10, **{usage: 5000})
    with track_cost() as report:
        list(world.anthropic().stream([marked(ttl) for ttl in ttls]))
    (record,) = report.calls
    assert record.cost_usd == usd("claude-haiku-4-5", input=100, output=10, **{kind: 5000})
    assert record.estimated == estimated


def test_an_input_of_nothing_is_no_report(world):
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    told = {"input_tokens": 0, "output_tokens": 12, "total_tokens": 12}
    answer = AIMessage(WORDS, usage_metadata=told, response_metadata={"model_name": "gpt-4o"})
    with track_cost() as report:
        GenericFakeChatModel(messages=iter([answer])).invoke(QUESTION)
    (record,) = report.calls
    assert record.estimated
    assert (record.usage.input_tokens, record.usage.output_tokens) == (counted(QUESTION) + 7, 12)


@pytest.mark.parametrize("nonsense", [5, ["openai"], {"name": "openai"}, "", None])
def test_a_provider_or_model_that_is_no_name_is_unknown(nonsense):
    message = AIMessage(
        "x",
        usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
        response_metadata={"model_provider": nonsense, "model_name": nonsense},
    )
    end = call_end(LLMResult(generations=[[ChatGeneration(message=message)]]))
    assert (end.provider, end.model) == (None, None)


def test_a_service_tier_that_is_no_name_does_not_lose_the_record():
    handler = CostCallbackHandler()
    handler.on_chat_model_start(
        {}, [[HumanMessage(QUESTION)]], run_id=UUID(int=1), invocation_params={"service_tier": ["flex"]}
    )
    handler.on_llm_end(LLMResult(generations=[[ChatGeneration(message=AIMessage("x"))]]), run_id=UUID(int=1))
    assert len(handler.report.calls) == 1
    assert handler.failures == 0
