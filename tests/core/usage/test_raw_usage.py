"""Every provider's payload becomes the same inclusive usage."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import genai_prices.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.usage import payloads
from tokenomics_core import Usage
from tokenomics_core.usage import (
    finish_reason_from_raw,
    model_from_raw,
    usage_from_anthropic,
    usage_from_bedrock,
    usage_from_cohere,
    usage_from_gemini,
    usage_from_ollama,
    usage_from_openai,
    usage_from_openai_responses,
    usage_from_raw,
)

# Names that genai-prices gives to what Usage has a field for.
_REFERENCE_NAMES = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_5m_tokens": "cache_write_5m_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "cache_audio_read_tokens": "cache_read_audio_tokens",
}
_PROVIDERS = {provider.id: provider for provider in genai_prices.data.providers}


def as_objects(value: Any) -> Any:
    """Turn JSON into objects with attributes, as SDKs hand it over."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_objects(item) for key, item in value.items()})
    return [as_objects(item) for item in value] if isinstance(value, list) else value


def reference_counts(payload: dict[str, Any], provider: str, flavor: str) -> dict[str, Any]:
    _, usage = _PROVIDERS[provider].extract_usage(payload, api_flavor=flavor)
    told = {name: vars(usage).get(key) or 0 for key, name in _REFERENCE_NAMES.items()}
    return {**told, "web_searches": vars(usage).get("web_searches") or 0}


def counts(usage: Usage) -> dict[str, Any]:
    told = {name: getattr(usage, name) or 0 for name in _REFERENCE_NAMES.values()}
    return {**told, "web_searches": usage.extras.get("web_searches", 0)}


@pytest.mark.parametrize(
    ("make", "provider", "flavor"),
    [
        (payloads.openai_chat, "openai", "chat"),
        (payloads.openai_responses, "openai", "responses"),
        (payloads.anthropic_message, "anthropic", "default"),
        (payloads.gemini_answer, "google", "default"),
        (payloads.bedrock_converse, "aws", "default"),
    ],
)
def test_raw_payloads_give_the_counts_that_genai_prices_extracts(make, provider, flavor):
    @settings(deadline=None)
    @given(payload=make())
    def check(payload):
        expected = reference_counts(payload, provider, flavor)
        for raw in (payload, as_objects(payload)):
            usage = usage_from_raw(raw)
            assert usage is not None
            assert counts(usage) == expected

    check()


@settings(deadline=None)
@given(
    payload=st.one_of(
        payloads.openai_chat(),
        payloads.openai_responses(),
        payloads.anthropic_message(),
        payloads.gemini_answer(),
        payloads.bedrock_converse(),
    )
)
def test_the_bare_usage_converts_like_the_answer_around_it(payload):
    name = "usageMetadata" if "usageMetadata" in payload else "usage"
    whole, bare = usage_from_raw(payload), usage_from_raw(payload[name])
    assert whole is not None
    assert bare is not None
    assert counts(whole) == counts(bare)


DOCUMENTED = {
    "openai chat with everything": (
        {
            "model": "gpt-4o-audio-preview",
            "service_tier": "priority",
            "usage": {
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 5, "cache_write_tokens": 64},
                "completion_tokens_details": {
                    "reasoning_tokens": 128,
                    "audio_tokens": 33,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
        },
        Usage(
            input_tokens=2006,
            output_tokens=300,
            cache_read_tokens=1920,
            cache_write_tokens=64,
            reasoning_tokens=128,
            input_audio_tokens=5,
            output_audio_tokens=33,
            service_tier="priority",
        ),
    ),
    "openai embeddings": (
        {
            "object": "list",
            "model": "text-embedding-3-small",
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        },
        Usage(input_tokens=8),
    ),
    "openai responses with tools": (
        {
            "model": "gpt-5.2",
            "service_tier": "default",
            "output": [
                {"type": "web_search_call", "action": {"type": "search", "query": "weather"}},
                {"type": "web_search_call", "action": {"type": "open_page", "url": "https://example.org"}},
                {"type": "file_search_call", "queries": ["weather"]},
                {"type": "message", "content": []},
            ],
            "usage": {
                "input_tokens": 328,
                "input_tokens_details": {"cached_tokens": 128},
                "output_tokens": 52,
                "output_tokens_details": {"reasoning_tokens": 12},
                "total_tokens": 380,
            },
        },
        Usage(
            input_tokens=328,
            output_tokens=52,
            cache_read_tokens=128,
            reasoning_tokens=12,
            service_tier="default",
            extras={"web_searches": 1, "storage_searches": 1},
        ),
    ),
    "openai responses stream": (
        {
            "type": "response.completed",
            "response": {"model": "gpt-5.2", "usage": {"input_tokens": 37, "output_tokens": 11}},
        },
        Usage(input_tokens=37, output_tokens=11),
    ),
    "openai transcription by tokens": (
        {
            "text": "Hi",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
                "output_tokens": 45,
                "total_tokens": 59,
            },
        },
        Usage(input_tokens=14, output_tokens=45, input_audio_tokens=14),
    ),
    "openai transcription by seconds": (
        {"text": "Hi", "usage": {"type": "duration", "seconds": 9.5}},
        Usage(extras={"audio_seconds": Decimal("9.5")}),
    ),
    "openai realtime": (
        {
            "type": "response.done",
            "response": {
                "usage": {
                    "total_tokens": 253,
                    "input_tokens": 132,
                    "output_tokens": 121,
                    "input_token_details": {
                        "text_tokens": 119,
                        "audio_tokens": 13,
                        "cached_tokens": 64,
                        "cached_tokens_details": {"text_tokens": 54, "audio_tokens": 10},
                    },
                    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
                }
            },
        },
        Usage(
            input_tokens=132,
            output_tokens=121,
            cache_read_tokens=64,
            input_audio_tokens=13,
            output_audio_tokens=91,
            cache_read_audio_tokens=10,
        ),
    ),
    "openai image": (
        {
            "usage": {
                "input_tokens": 50,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens": 272,
                "total_tokens": 322,
            }
        },
        Usage(input_tokens=50, output_tokens=272, extras={"input_image_tokens": 40}),
    ),
    "anthropic mixed lifetimes": (
        {
            "model": "claude-sonnet-4-5-20250929",
            "usage": {
                "input_tokens": 21,
                "cache_creation_input_tokens": 3000,
                "cache_read_input_tokens": 18480,
                "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 2000},
                "output_tokens": 393,
                "service_tier": "standard",
            },
        },
        Usage(
            input_tokens=21501,
            output_tokens=393,
            cache_read_tokens=18480,
            cache_write_tokens=3000,
            cache_write_5m_tokens=1000,
            cache_write_1h_tokens=2000,
            service_tier="standard",
        ),
    ),
    "anthropic writes of a lifetime unknown here": (
        {
            "usage": {
                "input_tokens": 21,
                "cache_creation_input_tokens": 3500,
                "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 2000},
                "output_tokens": 393,
            },
        },
        Usage(
            input_tokens=3521,
            output_tokens=393,
            cache_write_tokens=3500,
            cache_write_5m_tokens=1000,
            cache_write_1h_tokens=2000,
        ),
    ),
    "anthropic fast, searching, thinking": (
        {
            "usage": {
                "input_tokens": 105,
                "output_tokens": 6039,
                "cache_read_input_tokens": 7123,
                "cache_creation_input_tokens": None,
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
                "output_tokens_details": {"thinking_tokens": 4000},
                "speed": "fast",
            }
        },
        Usage(
            input_tokens=7228,
            output_tokens=6039,
            cache_read_tokens=7123,
            reasoning_tokens=4000,
            extras={"web_searches": 2},
            context={"speed": "fast"},
        ),
    ),
    "anthropic batch": (
        {
            "usage": {
                "input_tokens": 11,
                "output_tokens": 36,
                "service_tier": "batch",
                "server_tool_use": None,
            }
        },
        Usage(input_tokens=11, output_tokens=36, batch=True),
    ),
    "anthropic compaction": (
        {
            "usage": {
                "input_tokens": 45000,
                "output_tokens": 1234,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "iterations": [
                    {
                        "type": "compaction",
                        "input_tokens": 180000,
                        "output_tokens": 3500,
                        "cache_creation_input_tokens": 0,
                        "cache_read_input_tokens": 0,
                    },
                    {
                        "type": "message",
                        "input_tokens": 45000,
                        "output_tokens": 1234,
                        "cache_creation_input_tokens": 0,
                        "cache_read_input_tokens": 0,
                    },
                ],
            }
        },
        Usage(input_tokens=225000, output_tokens=4734, cache_read_tokens=0, cache_write_tokens=0),
    ),
    "anthropic stream start": (
        {
            "type": "message_start",
            "message": {
                "model": "claude-opus-4-6",
                "usage": {"input_tokens": 25, "output_tokens": 1, "cache_read_input_tokens": 100},
            },
        },
        Usage(input_tokens=125, output_tokens=1, cache_read_tokens=100),
    ),
    "anthropic stream end without input": (
        {"type": "message_delta", "usage": {"output_tokens": 15, "cache_read_input_tokens": None}},
        Usage(output_tokens=15),
    ),
    "gemini thinking with cache, tools and image": (
        {
            "modelVersion": "gemini-3-pro-preview",
            "candidates": [
                {
                    "finishReason": "STOP",
                    "groundingMetadata": {"webSearchQueries": ["uefa euro", "", "final", "final"]},
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 1000,
                "cachedContentTokenCount": 600,
                "candidatesTokenCount": 200,
                "thoughtsTokenCount": 300,
                "toolUsePromptTokenCount": 50,
                "totalTokenCount": 1550,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 732},
                    {"modality": "IMAGE", "tokenCount": 258},
                    {"modality": "AUDIO", "tokenCount": 10},
                ],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
                "trafficType": "ON_DEMAND_PRIORITY",
            },
        },
        Usage(
            input_tokens=1050,
            output_tokens=500,
            cache_read_tokens=600,
            reasoning_tokens=300,
            input_audio_tokens=10,
            cache_read_audio_tokens=4,
            service_tier="priority",
            extras={"input_image_tokens": 258, "web_searches": 2},
        ),
    ),
    "gemini 2.5 pays one search for a grounded answer": (
        {
            "model_version": "gemini-2.5-flash",
            "grounding_metadata": {"web_search_queries": ["a", "b", "c"]},
            "usage_metadata": {"prompt_token_count": 9, "candidates_token_count": 4, "total_token_count": 13},
        },
        Usage(input_tokens=9, output_tokens=4, extras={"web_searches": 1}),
    ),
    "gemini whose total shows that its answer includes thoughts": (
        {
            "usageMetadata": {
                "promptTokenCount": 10,
                "candidatesTokenCount": 50,
                "thoughtsTokenCount": 20,
                "totalTokenCount": 60,
            }
        },
        Usage(input_tokens=10, output_tokens=50, reasoning_tokens=20),
    ),
    "gemini interaction": (
        {
            "model": "gemini-3.8-flash",
            "usage": {
                "total_input_tokens": 14,
                "total_output_tokens": 29,
                "total_thought_tokens": 100,
                "total_cached_tokens": 0,
                "total_tokens": 143,
            },
        },
        Usage(input_tokens=14, output_tokens=129, cache_read_tokens=0, reasoning_tokens=100),
    ),
    "bedrock converse": (
        {
            "usage": {
                "inputTokens": 4,
                "outputTokens": 100,
                "totalTokens": 5204,
                "cacheReadInputTokens": 5000,
                "cacheWriteInputTokens": 100,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 100}],
            },
            "serviceTier": {"type": "flex"},
        },
        Usage(
            input_tokens=5104,
            output_tokens=100,
            cache_read_tokens=5000,
            cache_write_tokens=100,
            cache_write_1h_tokens=100,
            service_tier="flex",
        ),
    ),
    "bedrock stream": (
        {"metadata": {"usage": {"inputTokens": 22, "outputTokens": 7, "totalTokens": 29}, "metrics": {}}},
        Usage(input_tokens=22, output_tokens=7),
    ),
    "bedrock invoke metrics": (
        {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 10, "outputTokenCount": 20}},
        Usage(input_tokens=10, output_tokens=20),
    ),
    "ollama": (
        {"model": "llama3.2", "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 298},
        Usage(input_tokens=26, output_tokens=298),
    ),
    "ollama without a prompt count": ({"eval_count": 5}, Usage(output_tokens=5)),
    "mistral": (
        {
            "model": "mistral-large-latest",
            "usage": {
                "prompt_tokens": 13,
                "completion_tokens": 20,
                "total_tokens": 33,
                "prompt_audio_seconds": 42,
            },
        },
        Usage(input_tokens=13, output_tokens=20, extras={"input_audio_seconds": 42}),
    ),
    "mistral stream": (
        {"data": {"model": "mistral-small", "usage": {"prompt_tokens": 5, "completion_tokens": 6}}},
        Usage(input_tokens=5, output_tokens=6),
    ),
    "deepseek": (
        {
            "usage": {
                "prompt_tokens": 700,
                "prompt_cache_hit_tokens": 512,
                "prompt_cache_miss_tokens": 188,
                "completion_tokens": 90,
                "total_tokens": 790,
                "completion_tokens_details": {"reasoning_tokens": 30},
            }
        },
        Usage(input_tokens=700, output_tokens=90, cache_read_tokens=512, reasoning_tokens=30),
    ),
    "moonshot": (
        {"usage": {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "cached_tokens": 64}},
        Usage(input_tokens=100, output_tokens=5, cache_read_tokens=64),
    ),
    "groq stream": (
        {"x_groq": {"usage": {"prompt_tokens": 18, "completion_tokens": 556, "total_tokens": 574}}},
        Usage(input_tokens=18, output_tokens=556),
    ),
    "openrouter with floats": (
        {
            "usage": {
                "prompt_tokens": 194.0,
                "completion_tokens": 2.0,
                "total_tokens": 196.0,
                "cost": 0.00014,
                "prompt_tokens_details": {"cached_tokens": 0.0, "audio_tokens": 0.0},
                "completion_tokens_details": {"reasoning_tokens": 0.0},
                "server_tool_use": {"web_search_requests": 1},
            }
        },
        Usage(
            input_tokens=194,
            output_tokens=2,
            cache_read_tokens=0,
            reasoning_tokens=0,
            input_audio_tokens=0,
            extras={"web_searches": 1},
        ),
    ),
    "litellm over anthropic": (
        {
            "usage": {
                "prompt_tokens": 21501,
                "completion_tokens": 393,
                "total_tokens": 21894,
                "prompt_tokens_details": {
                    "cached_tokens": 18480,
                    "cache_creation_tokens": 3000,
                    "cache_creation_token_details": {
                        "ephemeral_5m_input_tokens": 1000,
                        "ephemeral_1h_input_tokens": 2000,
                    },
                },
                "cache_creation_input_tokens": 3000,
                "cache_read_input_tokens": 18480,
            }
        },
        Usage(
            input_tokens=21501,
            output_tokens=393,
            cache_read_tokens=18480,
            cache_write_tokens=3000,
            cache_write_5m_tokens=1000,
            cache_write_1h_tokens=2000,
        ),
    ),
    "vllm": (
        {
            "usage": {
                "prompt_tokens": 7,
                "total_tokens": 23,
                "completion_tokens": 16,
                "prompt_tokens_details": None,
            }
        },
        Usage(input_tokens=7, output_tokens=16),
    ),
    "xai counts reasoning beside its completion": (
        {
            "usage": {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "prompt_tokens_details": {"cached_tokens": 6},
                "completion_tokens_details": {"reasoning_tokens": 94},
            }
        },
        Usage(input_tokens=32, output_tokens=103, cache_read_tokens=6, reasoning_tokens=94),
    ),
    "perplexity deep research": (
        {
            "usage": {
                "prompt_tokens": 33,
                "completion_tokens": 7163,
                "total_tokens": 7196,
                "citation_tokens": 20016,
                "num_search_queries": 18,
                "reasoning_tokens": 73997,
            }
        },
        Usage(
            input_tokens=33,
            output_tokens=7163 + 73997 + 20016,
            reasoning_tokens=73997,
            extras={"output_citation_tokens": 20016, "web_searches": 18},
        ),
    ),
    "cohere chat": (
        {
            "finish_reason": "COMPLETE",
            "usage": {
                "billed_units": {"input_tokens": 5, "output_tokens": 418},
                "tokens": {"input_tokens": 71, "output_tokens": 418},
            },
        },
        Usage(input_tokens=5, output_tokens=418),
    ),
    "cohere embed": (
        {"meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 12}}},
        Usage(input_tokens=12),
    ),
    "cohere rerank": ({"meta": {"billed_units": {"search_units": 1}}}, Usage(extras={"rerank_searches": 1})),
    "cohere stream": (
        {"type": "message-end", "delta": {"usage": {"tokens": {"input_tokens": 71, "output_tokens": 4}}}},
        Usage(input_tokens=71, output_tokens=4),
    ),
    "voyage": ({"model": "voyage-3", "usage": {"total_tokens": 10}}, Usage(input_tokens=10)),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_documented_payload_converts_as_its_provider_bills_it(name):
    payload, expected = DOCUMENTED[name]
    assert usage_from_raw(payload) == expected
    if "amazon" not in name and "bedrock invoke" not in name:
        assert usage_from_raw(as_objects(payload)) == expected


def test_the_hint_settles_what_anthropic_and_openai_write_alike():
    plain = {"input_tokens": 3, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 2}}
    assert usage_from_raw(plain).cache_read_tokens == 2
    assert usage_from_raw(plain, provider_hint="anthropic").cache_read_tokens is None


def test_the_hint_settles_whether_bedrock_counted_the_cache():
    flat = {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9, "cache_read_input_tokens": 3}
    assert usage_from_raw(flat).input_tokens == 4
    assert usage_from_raw(flat, provider_hint="bedrock_converse").input_tokens == 7


def test_converters_by_name_read_the_same_as_the_recognising_one():
    by_name = {
        "openai chat with everything": usage_from_openai,
        "openai embeddings": usage_from_openai,
        "openai responses with tools": usage_from_openai_responses,
        "openai responses stream": usage_from_openai_responses,
        "anthropic mixed lifetimes": usage_from_anthropic,
        "gemini thinking with cache, tools and image": usage_from_gemini,
        "bedrock converse": usage_from_bedrock,
        "cohere chat": usage_from_cohere,
        "ollama": usage_from_ollama,
    }
    for name, convert in by_name.items():
        payload, expected = DOCUMENTED[name]
        assert convert(payload) == expected, name


def test_unreported_counts_stay_unknown_and_reported_zeros_stay_zero():
    unreported = usage_from_raw({"usage": {"input_tokens": 3, "output_tokens": 1, "cache_creation": None}})
    assert unreported.cache_read_tokens is None
    assert unreported.cache_write_tokens is None
    reported = usage_from_raw(
        {"usage": {"input_tokens": 3, "output_tokens": 1, "cache_read_input_tokens": 0}}
    )
    assert reported.cache_read_tokens == 0


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        {},
        [],
        "",
        "usage",
        {"usage": None},
        {"usage": {}},
        {"choices": []},
        {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
        {"usage": {"input_tokens": None, "output_tokens": None}},
        SimpleNamespace(usage=None),
        object(),
    ],
)
def test_where_nothing_was_reported_there_is_no_usage(nothing):
    assert usage_from_raw(nothing) is None


@pytest.mark.parametrize(
    ("raw", "model"),
    [
        ({"model": "gpt-4o"}, "gpt-4o"),
        ({"response": {"model": "gpt-5.2"}, "type": "response.completed"}, "gpt-5.2"),
        ({"message": {"model": "claude-opus-4-6"}}, "claude-opus-4-6"),
        ({"modelVersion": "gemini-2.5-pro"}, "gemini-2.5-pro"),
        ({"model_name": "gpt-4o-2024-08-06", "model": "gpt-4o"}, "gpt-4o-2024-08-06"),
        ({"data": {"model": "mistral-small"}}, "mistral-small"),
        (SimpleNamespace(model="llama3.2"), "llama3.2"),
        (SimpleNamespace(raw={"model": "claude-x"}, message=None), "claude-x"),
        ({"model": ""}, None),
        ({"model": 3}, None),
        (None, None),
        ({}, None),
    ],
)
def test_the_model_is_found_where_the_answer_names_it(raw, model):
    assert model_from_raw(raw) == model


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"choices": [{"finish_reason": "length"}]}, "length"),
        ({"stop_reason": "end_turn"}, "end_turn"),
        ({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}, "max_tokens"),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "MAX_TOKENS"),
        ({"stopReason": "end_turn"}, "end_turn"),
        ({"messageStop": {"stopReason": "tool_use"}}, "tool_use"),
        ({"done_reason": "stop"}, "stop"),
        ({"incomplete_details": {"reason": "max_output_tokens"}}, "max_output_tokens"),
        ({"choices": []}, None),
        (None, None),
    ],
)
def test_the_reason_for_the_end_is_found_in_the_providers_word(raw, reason):
    assert finish_reason_from_raw(raw) == reason
    if raw is not None:
        assert finish_reason_from_raw(as_objects(raw)) == reason
