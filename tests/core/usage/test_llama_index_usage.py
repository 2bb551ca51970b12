"""LlamaIndex responses convert, wherever an integration put the provider's counts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from anthropic.types import Message, RawMessageDeltaEvent
from hypothesis import given, settings
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse
from llama_index.llms.openai import OpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import ResponseUsage

from tests.core.usage import payloads
from tokenomics_core import Usage
from tokenomics_core.usage import model_from_raw, usage_from_llama_index, usage_from_raw


def answer(raw=None, of_message=None, **kwargs) -> ChatResponse:
    message = ChatMessage(role="assistant", content="Hello", additional_kwargs=of_message or {})
    return ChatResponse(message=message, raw=raw, **kwargs)


def completion(payload) -> ChatCompletion:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}
    return ChatCompletion.model_validate({"id": "1", "created": 0, "choices": [choice], **payload})


@settings(deadline=None)
@given(payload=payloads.openai_chat())
def test_openai_chat_converts_from_the_sdk_object(payload):
    raw = completion(payload)
    kwargs = OpenAI(api_key="unused")._get_response_token_counts(raw)
    expected = usage_from_raw(payload)
    assert usage_from_llama_index(answer(raw, additional_kwargs=kwargs)) == expected
    assert usage_from_llama_index(CompletionResponse(text="Hello", raw=raw)) == expected


@settings(deadline=None)
@given(payload=payloads.openai_chat())
def test_an_openai_stream_with_usage_converts_from_its_last_chunk(payload):
    chunk = ChatCompletionChunk.model_validate(
        {
            "id": "1",
            "created": 0,
            "choices": [],
            **payload,
            "object": "chat.completion.chunk",
        }
    )
    assert usage_from_llama_index(answer(chunk, delta="")) == usage_from_raw(payload)


def test_an_openai_stream_without_usage_reports_nothing():
    chunk = ChatCompletionChunk(
        id="1", created=0, choices=[], model="gpt-4o", object="chat.completion.chunk", usage=None
    )
    kwargs = OpenAI(api_key="unused")._get_response_token_counts(chunk)
    assert usage_from_llama_index(answer(chunk, additional_kwargs=kwargs)) is None
    assert model_from_raw(answer(chunk)) == "gpt-4o"


@settings(deadline=None)
@given(payload=payloads.openai_responses())
def test_openai_responses_convert_from_additional_kwargs(payload):
    usage = ResponseUsage.model_validate(payload["usage"])
    converted = usage_from_llama_index(answer(additional_kwargs={"usage": usage, "built_in_tool_calls": []}))
    assert converted == usage_from_raw(payload["usage"])


@settings(deadline=None)
@given(payload=payloads.anthropic_message())
def test_anthropic_converts_from_the_dict_around_the_sdk_usage(payload):
    raw = dict(Message.model_validate(payload))
    assert usage_from_llama_index(answer(raw)) == usage_from_raw(payload)
    assert model_from_raw(answer(raw)) == "claude-sonnet-4-5-20250929"


def test_an_anthropic_stream_takes_the_cache_from_its_last_event_and_not_the_net_input_beside_it():
    event = RawMessageDeltaEvent.model_validate(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 3,
                "output_tokens": 40,
                "cache_read_input_tokens": 21_000,
                "cache_creation_input_tokens": 500,
            },
        }
    )
    response = answer(dict(event), of_message={"usage": {"input_tokens": 3, "output_tokens": 40}}, delta="")
    assert usage_from_llama_index(response) == Usage(
        input_tokens=21_503, output_tokens=40, cache_read_tokens=21_000, cache_write_tokens=500
    )


def test_an_anthropic_stream_that_lost_its_last_event_falls_back_to_the_message():
    event = {"type": "content_block_stop", "index": 0}
    response = answer(event, of_message={"usage": {"input_tokens": 12, "output_tokens": 4}}, delta="")
    assert usage_from_llama_index(response) == Usage(input_tokens=12, output_tokens=4)


CASES = {
    "gemini": (
        answer(
            {
                "finish_reason": "STOP",
                "usage_metadata": {
                    "prompt_token_count": 10,
                    "candidates_token_count": 5,
                    "thoughts_token_count": 20,
                    "total_token_count": 35,
                    "cached_content_token_count": None,
                },
            },
            additional_kwargs={"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35},
        ),
        Usage(input_tokens=10, output_tokens=25, reasoning_tokens=20),
    ),
    "bedrock": (
        answer(
            {"usage": {"inputTokens": 4, "outputTokens": 9, "totalTokens": 113, "cacheReadInputTokens": 100}},
            additional_kwargs={"prompt_tokens": 4, "completion_tokens": 9, "cache_read_input_tokens": 100},
        ),
        Usage(input_tokens=104, output_tokens=9, cache_read_tokens=100),
    ),
    "bedrock stream": (
        answer(
            {"metadata": {"usage": {"inputTokens": 4, "outputTokens": 9, "cacheWriteInputTokens": 50}}},
            delta="",
        ),
        Usage(input_tokens=54, output_tokens=9, cache_write_tokens=50),
    ),
    "bedrock with only its additional_kwargs": (
        answer(
            additional_kwargs={
                "prompt_tokens": 4,
                "completion_tokens": 9,
                "total_tokens": 13,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 0,
            }
        ),
        Usage(input_tokens=7, output_tokens=9, cache_read_tokens=3, cache_write_tokens=0),
    ),
    "ollama": (
        answer(
            {
                "model": "llama3.2",
                "prompt_eval_count": 26,
                "eval_count": 298,
                "usage": {"prompt_tokens": 26, "completion_tokens": 298, "total_tokens": 324},
            }
        ),
        Usage(input_tokens=26, output_tokens=298),
    ),
    "mistral": (
        answer(
            {"model": "m", "usage": CompletionUsage(prompt_tokens=3, completion_tokens=4, total_tokens=7)}
        ),
        Usage(input_tokens=3, output_tokens=4),
    ),
    "mistral stream": (
        answer(
            SimpleNamespace(data=SimpleNamespace(usage=SimpleNamespace(prompt_tokens=3, completion_tokens=4)))
        ),
        Usage(input_tokens=3, output_tokens=4),
    ),
    "litellm, whose raw is no dict": (
        answer(SimpleNamespace(usage=SimpleNamespace(prompt_tokens=3, completion_tokens=4), model="m")),
        Usage(input_tokens=3, output_tokens=4),
    ),
    "litellm stream without usage, whose counts are made up zeros": (
        answer(
            {"choices": []},
            additional_kwargs={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        ),
        None,
    ),
    "cohere": (
        answer(
            {"text": "Hello", "meta": SimpleNamespace(billed_units={"input_tokens": 3, "output_tokens": 4})}
        ),
        Usage(input_tokens=3, output_tokens=4),
    ),
    "counts only in the response's additional_kwargs": (
        answer(additional_kwargs={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}),
        Usage(input_tokens=3, output_tokens=4),
    ),
    "counts only in the message's additional_kwargs": (
        answer(of_message={"prompt_tokens": 3, "completion_tokens": 4}),
        Usage(input_tokens=3, output_tokens=4),
    ),
    "langchain model inside": (answer(), None),
    "structured answer": (answer(SimpleNamespace(number=3)), None),
}


@pytest.mark.parametrize("name", CASES)
def test_a_llama_index_response_converts(name):
    response, expected = CASES[name]
    assert usage_from_llama_index(response) == expected


def test_a_raw_answer_may_stand_in_for_the_response():
    assert usage_from_llama_index({"usage": {"prompt_tokens": 3, "completion_tokens": 4}}) == Usage(
        input_tokens=3, output_tokens=4
    )
