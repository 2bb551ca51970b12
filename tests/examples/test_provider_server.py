"""The stand-in serves many callers, remembers what it saw, and misbehaves only when told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import anthropic
import httpx
import openai
import pytest

from examples.provider import (
    Cut,
    Fail,
    LoopbackProvider,
    Malformed,
    ProviderAnswer,
    ProviderUsage,
    ScriptedEngine,
    Stall,
    ToolCall,
)

ASK = [{"role": "user", "content": "hello?"}]
ANSWER = ProviderAnswer(text="one two three", usage=ProviderUsage(input_tokens=9, output_tokens=3))


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with LoopbackProvider(ScriptedEngine(always=ANSWER)) as running:
        yield running


@pytest.fixture
def client(provider: LoopbackProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.openai_url, api_key="secret", max_retries=0) as running:
        yield running


def _ask(client: openai.OpenAI, model: str = "small") -> str | None:
    return client.chat.completions.create(model=model, messages=ASK).choices[0].message.content


def _read(client: openai.OpenAI) -> str:
    stream = client.chat.completions.create(model="small", messages=ASK, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


# --- serving


def test_a_connection_serves_many_calls(provider):
    with httpx.Client(base_url=provider.url) as client:
        ports = set()
        for _ in range(5):
            answer = client.post("/v1/chat/completions", json={"model": "small", "messages": ASK})
            ports.add(answer.extensions["network_stream"].get_extra_info("client_addr")[1])
    assert len(ports) == 1


def test_many_callers_at_once_each_get_their_own_answer(provider, client):
    provider.engine.always(lambda request: ProviderAnswer(text=request.turns[0].text))

    def ask(number: int) -> str | None:
        messages = [{"role": "user", "content": str(number)}]
        return client.chat.completions.create(model="m", messages=messages).choices[0].message.content

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(200))) == [str(number) for number in range(200)]
    assert provider.count() == 200


def test_steps_come_in_order_and_a_models_own_steps_first():
    engine = ScriptedEngine(ProviderAnswer(text="first"), always=ProviderAnswer(text="else"))
    engine.queue(ProviderAnswer(text="large first"), model="large")
    engine.always(ProviderAnswer(text="large else"), model="large")
    with (
        LoopbackProvider(engine) as provider,
        openai.OpenAI(base_url=provider.openai_url, api_key="unused") as client,
    ):
        told = [_ask(client, model) for model in ("large", "large", "large", "small")]
    assert told == ["large first", "first", "large else", "else"]


def test_requests_are_remembered_without_their_keys(provider, client):
    _ask(client)
    client.chat.completions.create(
        model="large", messages=ASK, stream=True, extra_headers={"X-Team": "blue"}
    ).close()
    first, second = provider.requests
    assert (first.path, first.model, first.stream) == ("/v1/chat/completions", "small", False)
    assert first.body["messages"] == ASK
    assert (second.model, second.stream, second.headers["x-team"]) == ("large", True, "blue")
    assert "secret" not in str(provider.requests)
    assert provider.count() == 2
    assert provider.count(model="large") == 1
    assert provider.count(path="/v1/messages") == 0


def test_memory_is_bounded_and_counts_go_on():
    engine = ScriptedEngine(always=ANSWER)
    with LoopbackProvider(engine, keep_requests=2) as provider:
        with openai.OpenAI(base_url=provider.openai_url, api_key="unused") as client:
            for model in ("a", "b", "c"):
                _ask(client, model)
        assert [seen.model for seen in provider.requests] == ["b", "c"]
        assert provider.count() == 3


def test_ids_and_times_can_be_fixed():
    numbers = iter(range(100))
    engine = ScriptedEngine(always=ANSWER)
    provider = LoopbackProvider(engine, clock=lambda: 1700000000.9, new_id=lambda: f"{next(numbers)}")
    with provider, openai.OpenAI(base_url=provider.openai_url, api_key="unused") as client:
        answer = client.chat.completions.create(model="small", messages=ASK)
    assert (answer.id.startswith("chatcmpl-"), answer.created) == (True, 1700000000)


def test_nothing_of_a_closed_server_is_left(provider, client):
    _ask(client)
    provider.close()
    with pytest.raises(openai.APIConnectionError):
        _ask(client)
    assert not [thread for thread in threading.enumerate() if thread.name == "loopback-provider"]


def test_an_answer_that_breaks_while_it_is_written_hangs_up(provider, client):
    broken = ProviderAnswer(text="so", tool_calls=(ToolCall(name="add", arguments="{no json"),))
    provider.engine.always(broken)
    with anthropic.Anthropic(base_url=provider.url, api_key="unused", max_retries=0) as claude:
        stream = claude.messages.create(model="small", max_tokens=9, messages=ASK, stream=True)
        with pytest.raises(httpx.RemoteProtocolError):
            list(stream)
    assert [type(error).__name__ for error in provider.errors] == ["JSONDecodeError"]
    provider.engine.always(ANSWER)
    assert _ask(client) == "one two three"


def test_a_body_of_unknown_length_is_refused(provider):
    answer = httpx.post(f"{provider.openai_url}/chat/completions", content=iter([b"{}"]))
    assert answer.status_code == 411
    assert provider.count() == 0


# --- failing


def test_a_failure_is_told_with_its_status_and_its_wait(provider, client):
    provider.inject(Fail(status=429, message="too fast", retry_after_s=7))
    with pytest.raises(openai.RateLimitError, match="too fast") as caught:
        _ask(client)
    assert caught.value.response.headers["retry-after"] == "7"
    assert _ask(client) == "one two three"


def test_a_failure_can_have_a_body_of_its_own(provider, client):
    provider.inject(Fail(status=402, body={"error": {"message": "no credit", "code": "billing"}}))
    with pytest.raises(openai.APIStatusError, match="no credit") as caught:
        _ask(client)
    assert caught.value.status_code == 402


def test_faults_meet_only_the_calls_they_are_meant_for(provider, client):
    provider.inject(Fail(status=500), model="large", times=2)
    provider.inject(Fail(status=404), path="/v1/responses", times=None)
    assert _ask(client, "small") == "one two three"
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            _ask(client, "large")
    assert _ask(client, "large") == "one two three"
    for _ in range(3):
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="small", input="x")
    provider.clear_faults()
    assert client.responses.create(model="small", input="x").output_text == "one two three"


def test_clients_that_retry_get_through_a_failure(provider):
    provider.inject(Fail(status=503, retry_after_s=0.01))
    with openai.OpenAI(base_url=provider.openai_url, api_key="unused", max_retries=1) as client:
        assert _ask(client) == "one two three"
    assert provider.count() == 2


def test_a_stream_can_fail_half_way(provider, client):
    provider.inject(Fail(message="overloaded", after_chunks=2), times=2)
    with pytest.raises(openai.APIError, match="overloaded"):
        _read(client)
    with anthropic.Anthropic(base_url=provider.url, api_key="unused", max_retries=0) as claude:
        events = claude.messages.create(model="small", max_tokens=9, messages=ASK, stream=True)
        with pytest.raises(anthropic.APIStatusError, match="overloaded"):
            list(events)


def test_a_responses_stream_can_fail_half_way(provider, client):
    provider.inject(Fail(message="overloaded", after_chunks=3))
    last = list(client.responses.create(model="small", input="x", stream=True))[-1]
    assert (last.type, last.message) == ("error", "overloaded")


# --- stalling


def test_a_stalled_call_waits_until_it_is_released(provider, client):
    stall = Stall()
    provider.inject(stall)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_ask, client)
        assert stall.reached.wait(10)
        assert not waiting.done()
        assert provider.count() == 1
        stall.release.set()
        assert waiting.result(10) == "one two three"


def test_a_stream_can_stall_half_way(provider, client):
    stall = Stall(after_chunks=2)
    provider.inject(stall)
    stream = client.chat.completions.create(model="small", messages=ASK, stream=True)
    first = [next(stream).choices[0].delta.content for _ in range(2)]
    assert stall.reached.wait(10)
    assert first == ["", "one"]
    stall.release.set()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == " two three"


def test_closing_the_server_ends_a_stall(client, provider):
    stall = Stall()
    provider.inject(stall)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_ask, client)
        assert stall.reached.wait(10)
        provider.close()
        assert waiting.exception(10) is None or isinstance(waiting.exception(), openai.APIConnectionError)


# --- cutting and garbling


def test_a_cut_stream_ends_in_the_middle(provider, client):
    provider.inject(Cut(after_chunks=2))
    stream = client.chat.completions.create(model="small", messages=ASK, stream=True)
    assert [next(stream).choices[0].delta.content for _ in range(2)] == ["", "one"]
    with pytest.raises(httpx.RemoteProtocolError):
        next(stream)
    assert _read(client) == "one two three"


def test_a_cut_longer_than_the_stream_cuts_its_very_end(provider, client):
    provider.inject(Cut(after_chunks=10_000))
    with (
        httpx.stream(
            "POST",
            f"{provider.openai_url}/chat/completions",
            json={"model": "small", "messages": ASK, "stream": True},
        ) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        answer.read()


def test_a_cut_answer_arrives_by_half(provider, client):
    provider.inject(Cut())
    with pytest.raises(openai.APIConnectionError):
        _ask(client)
    assert _ask(client) == "one two three"


def test_malformed_json_is_seen_by_the_clients(provider, client):
    provider.inject(Malformed(), times=2)
    with pytest.raises(ValueError, match="Expecting"):
        _ask(client)
    with pytest.raises(ValueError, match="Expecting"):
        _read(client)
    provider.inject(Malformed(after_chunks=3))
    with (
        anthropic.Anthropic(base_url=provider.url, api_key="unused", max_retries=0) as claude,
        pytest.raises(ValueError, match="Expecting"),
    ):
        list(claude.messages.create(model="small", max_tokens=9, messages=ASK, stream=True))


def test_callers_who_hang_up_disturb_nobody(provider, client):
    for _ in range(3):
        client.chat.completions.create(model="small", messages=ASK, stream=True).close()
    assert _ask(client) == "one two three"
    assert provider.errors == []


def test_embeddings_can_fail_too(provider, client):
    provider.inject(Fail(status=500), path="/v1/embeddings")
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model="embed", input="x")


def test_a_fault_for_no_calls_is_refused(provider):
    with pytest.raises(ValueError, match="times must be 1 or more"):
        provider.inject(Cut(), times=0)
