"""What LangChain's own converters make of a payload is undone to what the provider counted."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import Message, MessageDeltaUsage
from hypothesis import given, settings
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.chat_models import _create_usage_metadata as anthropic_metadata
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration
from langchain_openai.chat_models.base import _create_usage_metadata as chat_metadata
from langchain_openai.chat_models.base import _create_usage_metadata_responses as responses_metadata

from tests.core.usage import payloads
from tokenomics_core import Usage
from tokenomics_core.usage import is_langchain_cache_hit, usage_from_langchain, usage_from_raw


@settings(deadline=None)
@given(payload=payloads.openai_chat())
def test_openai_chat_keeps_every_count_on_every_tier(payload):
    expected = usage_from_raw(payload)
    metadata = chat_metadata(payload["usage"], payload["service_tier"])
    usage = usage_from_langchain(metadata, response_metadata={"service_tier": payload["service_tier"]})
    assert usage == expected


@settings(deadline=None)
@given(payload=payloads.openai_chat())
def test_the_flex_and_priority_marks_alone_tell_the_tier(payload):
    usage = usage_from_langchain(chat_metadata(payload["usage"], payload["service_tier"]))
    if payload["service_tier"] in {"flex", "priority"}:
        assert usage == usage_from_raw(payload)
    else:
        assert usage.service_tier is None


@settings(deadline=None)
@given(payload=payloads.openai_responses())
def test_openai_responses_keeps_every_count_on_every_tier(payload):
    expected = usage_from_raw(payload)
    metadata = responses_metadata(payload["usage"], payload["service_tier"])
    usage = usage_from_langchain(metadata, response_metadata={"service_tier": payload["service_tier"]})
    assert usage == expected


@settings(deadline=None)
@given(payload=payloads.anthropic_message())
def test_anthropic_keeps_every_count_lifetime_and_search(payload):
    message = Message.model_validate(payload)
    model = ChatAnthropic(model="claude-sonnet-4-5", api_key="unused")
    result = model._format_output(message)
    usage = usage_from_langchain(result.generations[0].message.usage_metadata, llm_output=result.llm_output)
    assert usage == usage_from_raw(message)


@settings(deadline=None)
@given(payload=payloads.anthropic_message())
def test_an_anthropic_stream_keeps_what_its_last_event_repeats(payload):
    event = MessageDeltaUsage.model_validate(payload["usage"])
    expected = usage_from_raw(event)
    assert usage_from_langchain(anthropic_metadata(event)) == (
        None if expected is None else Usage(**{**_counts(expected), "service_tier": None})
    )


def _counts(usage: Usage) -> dict[str, Any]:
    # A stream's last event has neither lifetimes nor, in LangChain, searches and tier.
    return {name: value for name, value in usage.to_dict().items() if name.endswith("_tokens")}


CASES = {
    "plain": (
        {"input_tokens": 31, "output_tokens": 5, "total_tokens": 36},
        {},
        Usage(input_tokens=31, output_tokens=5),
    ),
    "one hour writes that langchain-anthropic takes out of their sum": (
        {
            "input_tokens": 3100,
            "output_tokens": 5,
            "total_tokens": 3105,
            "input_token_details": {
                "cache_read": 0,
                "cache_creation": 0,
                "ephemeral_5m_input_tokens": 1000,
                "ephemeral_1h_input_tokens": 2000,
            },
        },
        {},
        Usage(
            input_tokens=3100,
            output_tokens=5,
            cache_read_tokens=0,
            cache_write_tokens=3000,
            cache_write_5m_tokens=1000,
            cache_write_1h_tokens=2000,
        ),
    ),
    "flex": (
        {
            "input_tokens": 2000,
            "output_tokens": 300,
            "total_tokens": 2300,
            "input_token_details": {
                "flex_cache_read": 1500,
                "flex_cache_creation": 100,
                "flex": 500,
                "audio": 0,
            },
            "output_token_details": {"flex_reasoning": 250, "flex": 50, "audio": 0},
        },
        {},
        Usage(
            input_tokens=2000,
            output_tokens=300,
            cache_read_tokens=1500,
            cache_write_tokens=100,
            reasoning_tokens=250,
            input_audio_tokens=0,
            output_audio_tokens=0,
            service_tier="flex",
        ),
    ),
    "tier from llm_output": (
        {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8},
        {"llm_output": {"service_tier": "default", "token_usage": None}},
        Usage(input_tokens=3, output_tokens=5, service_tier="default"),
    ),
    "tier of bedrock": (
        {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8},
        {"response_metadata": {"serviceTier": {"type": "priority"}}},
        Usage(input_tokens=3, output_tokens=5, service_tier="priority"),
    ),
    "anthropic batch tier": (
        {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8, "input_token_details": {"cache_read": 0}},
        {"llm_output": {"usage": {"service_tier": "batch"}}},
        Usage(input_tokens=3, output_tokens=5, cache_read_tokens=0, batch=True),
    ),
    "anthropic speed and searches": (
        {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8, "input_token_details": {"cache_read": 0}},
        {
            "response_metadata": {
                "usage": {"speed": "fast", "server_tool_use": {"web_search_requests": 2}, "input_tokens": 3}
            }
        },
        Usage(
            input_tokens=3,
            output_tokens=5,
            cache_read_tokens=0,
            extras={"web_searches": 2},
            context={"speed": "fast"},
        ),
    ),
    "searches in an openai message's content": (
        {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8},
        {
            "content": [
                {"type": "web_search_call", "action": {"type": "search"}},
                {"type": "web_search_call", "action": {"type": "find_in_page"}},
                {"type": "file_search_call"},
                {"type": "text", "text": "It rains."},
                "and pours",
            ]
        },
        Usage(input_tokens=3, output_tokens=5, extras={"web_searches": 1, "storage_searches": 1}),
    ),
    "grounded gemini": (
        {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8, "input_token_details": {"cache_read": 0}},
        {
            "response_metadata": {
                "model_name": "gemini-3-pro-preview",
                "grounding_metadata": {"web_search_queries": ["a", "b"]},
            }
        },
        Usage(input_tokens=3, output_tokens=5, cache_read_tokens=0, extras={"web_searches": 2}),
    ),
    "cache that langchain-mistralai drops": (
        {"input_tokens": 100, "output_tokens": 5, "total_tokens": 105},
        {
            "response_metadata": {
                "token_usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 5,
                    "total_tokens": 105,
                    "prompt_tokens_details": {"cached_tokens": 64},
                }
            }
        },
        Usage(input_tokens=100, output_tokens=5, cache_read_tokens=64),
    ),
    "metadata of another call adds nothing": (
        {"input_tokens": 100, "output_tokens": 5, "total_tokens": 105},
        {
            "llm_output": {
                "token_usage": {
                    "prompt_tokens": 300,
                    "completion_tokens": 15,
                    "prompt_tokens_details": {"cached_tokens": 64},
                }
            }
        },
        Usage(input_tokens=100, output_tokens=5),
    ),
    "replay of a cache hit": (
        {"input_tokens": 31, "output_tokens": 5, "total_tokens": 36, "total_cost": 0},
        {},
        Usage(input_tokens=31, output_tokens=5),
    ),
    "hit whose message had no usage": (
        {"total_cost": 0},
        {"response_metadata": {"token_usage": {"prompt_tokens": 31, "completion_tokens": 5}}},
        Usage(input_tokens=31, output_tokens=5),
    ),
    "text model": (
        None,
        {
            "llm_output": {
                "token_usage": {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10},
                "model_name": "gpt-3.5-turbo-instruct",
            }
        },
        Usage(input_tokens=4, output_tokens=6),
    ),
    "bedrock invoke, whose prompt leaves the cache out": (
        None,
        {
            "response_metadata": {
                "usage": {
                    "prompt_tokens": 4,
                    "completion_tokens": 6,
                    "cache_read_input_tokens": 100,
                    "cache_write_input_tokens": 50,
                    "total_tokens": 10,
                }
            }
        },
        Usage(input_tokens=154, output_tokens=6, cache_read_tokens=100, cache_write_tokens=50),
    ),
    "anthropic raw usage in older metadata": (
        None,
        {
            "response_metadata": {
                "model_provider": "anthropic",
                "usage": {"input_tokens": 4, "output_tokens": 6, "cache_read_input_tokens": 100},
            }
        },
        Usage(input_tokens=104, output_tokens=6, cache_read_tokens=100),
    ),
    "vertex metadata": (
        None,
        {
            "response_metadata": {
                "usage_metadata": {
                    "prompt_token_count": 10,
                    "candidates_token_count": 20,
                    "total_token_count": 30,
                    "cached_content_token_count": 0,
                }
            }
        },
        Usage(input_tokens=10, output_tokens=20, cache_read_tokens=0),
    ),
    "ollama metadata": (
        None,
        {"response_metadata": {"model": "llama3.2", "prompt_eval_count": 26, "eval_count": 298}},
        Usage(input_tokens=26, output_tokens=298),
    ),
    "camel case": (
        None,
        {"response_metadata": {"tokenUsage": {"prompt_tokens": 1, "completion_tokens": 2}}},
        Usage(input_tokens=1, output_tokens=2),
    ),
    "cohere metadata": (
        None,
        {"response_metadata": {"token_count": {"input_tokens": 71.0, "output_tokens": 4.0}}},
        Usage(input_tokens=71, output_tokens=4),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_langchain_payload_converts(name):
    metadata, around, expected = CASES[name]
    assert usage_from_langchain(metadata, **around) == expected


@pytest.mark.parametrize(
    "around",
    [
        {},
        {"response_metadata": {}, "llm_output": {}},
        {"response_metadata": {"model_name": "m"}, "llm_output": {"token_usage": {}}},
        {"llm_output": {"token_usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}},
    ],
)
@pytest.mark.parametrize(
    "metadata", [None, {}, {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}, {"total_cost": 0}]
)
def test_where_langchain_reports_nothing_there_is_no_usage(metadata, around):
    assert usage_from_langchain(metadata, **around) is None


def test_langchains_own_cache_marks_its_hits():
    message = AIMessage("Hello", usage_metadata={"input_tokens": 3, "output_tokens": 1, "total_tokens": 4})
    model = GenericFakeChatModel(messages=iter([message]), cache=InMemoryCache())
    marks = []
    for _ in range(2):  # the cache shares its generations and marks them in place, so look at once
        [[generation]] = model.generate([[HumanMessage("Hi")]]).generations
        assert isinstance(generation, ChatGeneration)
        marks.append(is_langchain_cache_hit(generation.message.usage_metadata))
        assert usage_from_langchain(generation.message.usage_metadata) == Usage(
            input_tokens=3, output_tokens=1
        )
    assert marks == [False, True]


@pytest.mark.parametrize(
    ("metadata", "output", "hit"),
    [
        ({"input_tokens": 3, "total_cost": 0}, None, True),
        ({"input_tokens": 3, "total_cost": 0}, {}, True),
        ({"input_tokens": 3, "total_cost": 0}, {"token_usage": {"prompt_tokens": 3}}, False),
        ({"input_tokens": 3}, None, False),
        ({"input_tokens": 3, "total_cost": 0.2}, None, False),
        (None, None, False),
    ],
)
def test_a_hit_is_a_zero_cost_without_a_fresh_result(metadata, output, hit):
    assert is_langchain_cache_hit(metadata, output) is hit
