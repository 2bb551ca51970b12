"""LangChain's and LlamaIndex's clients read answers, usage and tool calls from the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from examples.provider import (
    Fail,
    LoopbackProvider,
    ProviderAnswer,
    ProviderUsage,
    ScriptedEngine,
    ToolCall,
)

ANSWER = ProviderAnswer(
    text="Good day to you.",
    usage=ProviderUsage(
        input_tokens=1000,
        output_tokens=50,
        cache_read_tokens=400,
        cache_write_5m_tokens=100,
        cache_write_1h_tokens=200,
        reasoning_tokens=20,
    ),
)
CALL = ProviderAnswer(tool_calls=(ToolCall(name="add", arguments={"a": 1, "b": 2}),))


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(always=ANSWER)


@pytest.fixture
def provider(engine: ScriptedEngine) -> Iterator[LoopbackProvider]:
    with LoopbackProvider(engine, keep_alive=False) as running:
        yield running


# --- LangChain

LANGCHAIN = ["chat", "responses", "messages"]


def _langchain(api: str, provider: LoopbackProvider, **settings: Any) -> Any:
    if api == "messages":
        anthropic = pytest.importorskip("langchain_anthropic")
        return anthropic.ChatAnthropic(
            model="small", base_url=provider.url, api_key="unused", max_retries=0, **settings
        )
    openai = pytest.importorskip("langchain_openai")
    return openai.ChatOpenAI(
        model="small",
        base_url=provider.openai_url,
        api_key="unused",
        max_retries=0,
        stream_usage=True,
        use_responses_api=api == "responses",
        **settings,
    )


def _usage_of(message: Any) -> tuple[int, int, int, int]:
    told = message.usage_metadata
    details = told["input_token_details"]
    five, hour = (details.get(f"ephemeral_{life}_input_tokens") or 0 for life in ("5m", "1h"))
    written = max(details.get("cache_creation") or 0, five + hour)
    return told["input_tokens"], told["output_tokens"], details["cache_read"], written


@pytest.mark.parametrize("api", LANGCHAIN)
def test_langchain_invoke(api, provider):
    answer = _langchain(api, provider).invoke("hello?")
    assert answer.text == ANSWER.text
    assert _usage_of(answer) == (1000, 50, 400, 300)
    assert answer.usage_metadata["output_token_details"]["reasoning"] == 20
    assert answer.response_metadata["model_name"] == "small"


@pytest.mark.parametrize("api", LANGCHAIN)
async def test_langchain_ainvoke(api, provider):
    answer = await _langchain(api, provider).ainvoke("hello?")
    assert (answer.text, _usage_of(answer)) == (ANSWER.text, (1000, 50, 400, 300))


@pytest.mark.parametrize("api", LANGCHAIN)
def test_langchain_stream(api, provider):
    chunks = list(_langchain(api, provider).stream("hello?"))
    whole = sum(chunks[1:], chunks[0])
    assert len([chunk for chunk in chunks if chunk.text]) == 4
    assert (whole.text, _usage_of(whole)) == (ANSWER.text, (1000, 50, 400, 300))


@pytest.mark.parametrize("api", LANGCHAIN)
async def test_langchain_astream(api, provider):
    chunks = [chunk async for chunk in _langchain(api, provider).astream("hello?")]
    whole = sum(chunks[1:], chunks[0])
    assert (whole.text, _usage_of(whole)) == (ANSWER.text, (1000, 50, 400, 300))


def _add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", LANGCHAIN)
def test_langchain_tool_calls(api, streamed, engine, provider):
    engine.queue(CALL)
    model = _langchain(api, provider).bind_tools([_add])
    if streamed:
        chunks = list(model.stream("sum?"))
        answer = sum(chunks[1:], chunks[0])
    else:
        answer = model.invoke("sum?")
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [("add", {"a": 1, "b": 2})]


@pytest.mark.parametrize("api", LANGCHAIN)
def test_langchain_tool_results_come_back_as_turns(api, engine, provider):
    from langchain_core.messages import HumanMessage, ToolMessage

    kept: list[Any] = []
    engine.queue(CALL, lambda request: kept.append(request) or ANSWER)
    model = _langchain(api, provider).bind_tools([_add])
    asked = model.invoke("sum?")
    result = ToolMessage("3", tool_call_id=asked.tool_calls[0]["id"])
    assert model.invoke([HumanMessage("sum?"), asked, result]).text == ANSWER.text
    assert [turn.role for turn in kept[0].turns] == ["user", "assistant", "tool"]
    assert kept[0].turns[1].tool_calls[0].id == kept[0].turns[2].tool_call_id
    assert kept[0].turns[2].text == "3"


@pytest.mark.parametrize("api", LANGCHAIN)
def test_langchain_structured_output(api, engine, provider):
    schema = {
        "title": "Sum",
        "description": "A sum.",
        "type": "object",
        "properties": {"total": {"type": "integer"}},
        "required": ["total"],
        "additionalProperties": False,
    }
    engine.queue(ProviderAnswer(text='{"total": 3}'))
    model = _langchain(api, provider).with_structured_output(schema, method="json_schema")
    assert model.invoke("sum?") == {"total": 3}


@pytest.mark.parametrize("tier", ["flex", "priority"])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_langchain_sees_the_service_tier(api, tier, provider):
    answer = _langchain(api, provider, service_tier=tier).invoke("hello?")
    assert answer.usage_metadata["input_token_details"][f"{tier}_cache_read"] == 400


def test_langchain_counts_n_choices_once(engine, provider):
    from langchain_core.messages import HumanMessage

    engine.queue(ProviderAnswer(text="one", alternatives=("two",), usage=ANSWER.usage))
    told = _langchain("chat", provider, n=2).generate([[HumanMessage("hello?")]])
    assert [choice.text for choice in told.generations[0]] == ["one", "two"]
    assert told.llm_output["token_usage"]["prompt_tokens"] == 1000


@pytest.mark.parametrize("api", LANGCHAIN)
def test_langchain_raises_what_the_server_refuses(api, provider):
    provider.inject(Fail(status=429, message="too fast"))
    with pytest.raises(Exception, match="too fast") as caught:
        _langchain(api, provider).invoke("hello?")
    assert "RateLimit" in type(caught.value).__name__


async def test_langchain_embeddings_sync_and_async(provider):
    openai = pytest.importorskip("langchain_openai")
    model = openai.OpenAIEmbeddings(
        model="embed", base_url=provider.openai_url, api_key="unused", check_embedding_ctx_length=False
    )
    one, other = model.embed_documents(["open a file", "sort a list"])
    assert await model.aembed_query("open a file") == one != other


# --- LlamaIndex

LLAMA_INDEX = ["like", "chat", "responses", "messages"]


def _llama_index(api: str, provider: LoopbackProvider) -> Any:
    settings = {"api_key": "unused", "max_retries": 0}
    if api == "like":
        like = pytest.importorskip("llama_index.llms.openai_like")
        return like.OpenAILike(
            model="small",
            api_base=provider.openai_url,
            is_chat_model=True,
            is_function_calling_model=True,
            additional_kwargs={"stream_options": {"include_usage": True}},
            **settings,
        )
    if api == "messages":
        anthropic = pytest.importorskip("llama_index.llms.anthropic")
        return anthropic.Anthropic(model="claude-sonnet-4-5", base_url=provider.url, **settings)
    openai = pytest.importorskip("llama_index.llms.openai")
    if api == "responses":
        return openai.OpenAIResponses(model="gpt-4.1-nano", api_base=provider.openai_url, **settings)
    return openai.OpenAI(
        model="gpt-4.1-nano",
        api_base=provider.openai_url,
        additional_kwargs={"stream_options": {"include_usage": True}},
        **settings,
    )


def _hello() -> list[Any]:
    from llama_index.core.llms import ChatMessage

    return [ChatMessage(role="user", content="hello?")]


def _counts(response: Any) -> tuple[int, int]:
    """The totals that LlamaIndex hands over; Anthropic's leave the cached input out."""
    raw = response.raw if isinstance(response.raw, dict) else dict(response.raw)
    usage = raw.get("usage") or response.additional_kwargs["usage"]
    got = usage if isinstance(usage, dict) else dict(usage)
    first = got.get("prompt_tokens", got.get("input_tokens"))
    return first, got.get("completion_tokens", got.get("output_tokens"))


def _expected(api: str) -> tuple[int, int]:
    return (300, 50) if api == "messages" else (1000, 50)


@pytest.mark.parametrize("api", LLAMA_INDEX)
def test_llama_index_chat(api, provider):
    answer = _llama_index(api, provider).chat(_hello())
    assert (answer.message.content, _counts(answer)) == (ANSWER.text, _expected(api))


@pytest.mark.parametrize("api", LLAMA_INDEX)
async def test_llama_index_achat(api, provider):
    answer = await _llama_index(api, provider).achat(_hello())
    assert (answer.message.content, _counts(answer)) == (ANSWER.text, _expected(api))


@pytest.mark.parametrize("api", LLAMA_INDEX)
def test_llama_index_stream_chat(api, provider):
    chunks = list(_llama_index(api, provider).stream_chat(_hello()))
    assert "".join(chunk.delta or "" for chunk in chunks) == ANSWER.text
    assert _counts(chunks[-1]) == _expected(api)


@pytest.mark.parametrize("api", LLAMA_INDEX)
async def test_llama_index_astream_chat(api, provider):
    chunks = [chunk async for chunk in await _llama_index(api, provider).astream_chat(_hello())]
    assert "".join(chunk.delta or "" for chunk in chunks) == ANSWER.text
    assert _counts(chunks[-1]) == _expected(api)


@pytest.mark.parametrize("api", LLAMA_INDEX)
def test_llama_index_complete(api, provider):
    assert _llama_index(api, provider).complete("hello?").text == ANSWER.text


@pytest.mark.parametrize("api", LLAMA_INDEX)
def test_llama_index_tool_calls(api, engine, provider):
    from llama_index.core.tools import FunctionTool

    engine.queue(CALL)
    model = _llama_index(api, provider)
    answer = model.chat_with_tools([FunctionTool.from_defaults(_add, name="add")], user_msg="sum?")
    calls = model.get_tool_calls_from_response(answer)
    assert [(call.tool_name, call.tool_kwargs) for call in calls] == [("add", {"a": 1, "b": 2})]


@pytest.mark.parametrize("api", LLAMA_INDEX)
def test_llama_index_streams_tool_calls(api, engine, provider):
    from llama_index.core.tools import FunctionTool

    engine.queue(CALL)
    model = _llama_index(api, provider)
    tools = [FunctionTool.from_defaults(_add, name="add")]
    last = list(model.stream_chat_with_tools(tools, user_msg="sum?"))[-1]
    calls = model.get_tool_calls_from_response(last)
    assert [(call.tool_name, call.tool_kwargs) for call in calls] == [("add", {"a": 1, "b": 2})]
