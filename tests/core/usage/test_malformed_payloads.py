"""A payload that makes no sense never breaks the call that it came with."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenomics_core import Usage
from tokenomics_core.usage import (
    finish_reason_from_raw,
    is_langchain_cache_hit,
    model_from_raw,
    reported_cost_usd,
    usage_from_langchain,
    usage_from_llama_index,
    usage_from_raw,
)

_NAMES = [
    "usage",
    "usage_metadata",
    "usageMetadata",
    "token_usage",
    "meta",
    "raw",
    "response",
    "message",
    "metadata",
    "data",
    "additional_kwargs",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "input_token_details",
    "output_token_details",
    "cached_tokens",
    "cache_read",
    "cache_creation",
    "flex",
    "flex_cache_read",
    "priority_reasoning",
    "reasoning",
    "reasoning_tokens",
    "audio",
    "audio_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "iterations",
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "promptTokensDetails",
    "modality",
    "tokenCount",
    "inputTokens",
    "cacheReadInputTokens",
    "cacheDetails",
    "ttl",
    "eval_count",
    "billed_units",
    "tokens",
    "cost",
    "total_cost",
    "service_tier",
    "speed",
    "server_tool_use",
    "web_search_requests",
    "output",
    "type",
    "action",
    "seconds",
    "model",
    "choices",
    "groundingMetadata",
    "webSearchQueries",
    "_hidden_params",
    "headers",
]
_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.integers(-5, 5_000),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["12", "-3", "nan", "1e999999", "flex", "batch", "AUDIO", "5m", "web_search_call"]),
)
_json = st.recursive(
    _values,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6)
    ),
    max_leaves=25,
)
_mappings = st.dictionaries(st.sampled_from(_NAMES), _json, max_size=8)


def check(usage: Usage | None) -> None:
    """Nothing, or a usage whose parts are inside their wholes."""
    if usage is None:
        return
    assert usage.is_reported
    told, said = usage.input_tokens, usage.output_tokens
    if told is not None:
        assert (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0) <= told
        assert (usage.input_audio_tokens or 0) <= told
    if said is not None:
        assert (usage.reasoning_tokens or 0) <= said
        assert (usage.output_audio_tokens or 0) <= said
    assert all(value > 0 for value in usage.extras.values())


@settings(deadline=None)
@given(raw=_json)
def test_no_raw_payload_breaks_a_converter(raw):
    for hint in (None, "anthropic", "bedrock"):
        check(usage_from_raw(raw, provider_hint=hint))
    model_from_raw(raw)
    finish_reason_from_raw(raw)
    cost = reported_cost_usd(raw)
    assert cost is None or (cost.is_finite() and cost >= 0)


@settings(deadline=None)
@given(usage=_json, metadata=_mappings, output=_mappings, content=_json)
def test_no_langchain_payload_breaks_its_converter(usage, metadata, output, content):
    check(usage_from_langchain(usage, response_metadata=metadata, llm_output=output, content=content))
    is_langchain_cache_hit(usage, output)


@settings(deadline=None)
@given(response=_mappings)
def test_no_llama_index_payload_breaks_its_converter(response):
    check(usage_from_llama_index(response))


def test_cache_above_the_input_means_that_the_input_left_it_out():
    usage = usage_from_raw({"prompt_tokens": 3, "completion_tokens": 5, "cache_read_input_tokens": 21_500})
    assert (usage.input_tokens, usage.cache_read_tokens) == (21_503, 21_500)


def test_a_total_that_only_adds_up_with_the_cache_means_that_the_input_left_it_out():
    usage = usage_from_raw(
        {"prompt_tokens": 900, "completion_tokens": 50, "total_tokens": 1350, "cache_read_input_tokens": 400}
    )
    assert usage.input_tokens == 1300


def test_reasoning_above_the_output_means_that_the_output_left_it_out():
    usage = usage_from_langchain(
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "total_tokens": 15,
            "output_token_details": {"reasoning": 40},
        }
    )
    assert (usage.output_tokens, usage.reasoning_tokens) == (45, 40)


def test_audio_above_the_input_is_cut():
    usage = usage_from_langchain(
        {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_token_details": {"audio": 11}}
    )
    assert usage.input_audio_tokens == 10


@pytest.mark.parametrize("nonsense", [-1, "many", 1.5, True, float("nan"), [], {}, "1" * 40])
def test_a_count_that_is_none_is_unknown_and_not_zero(nonsense):
    usage = usage_from_raw({"prompt_tokens": nonsense, "completion_tokens": 5})
    assert usage.input_tokens is None
    assert usage.output_tokens == 5


@pytest.mark.parametrize("count", [7, 7.0, "7"])
def test_whole_numbers_count_however_they_are_written(count):
    assert usage_from_raw({"prompt_tokens": count, "completion_tokens": 5}).input_tokens == 7


def test_what_was_mended_is_logged(caplog):
    with caplog.at_level(logging.DEBUG, logger="tokenomics_core.usage"):
        usage_from_raw({"prompt_tokens": 3, "completion_tokens": -5})
    assert "completion_tokens=-5 is no token count" in caplog.text


@pytest.mark.parametrize(
    ("payload", "note"),
    [
        (
            {"prompt_tokens": 3, "completion_tokens": 5, "cache_read_input_tokens": 21_500},
            "more tokens were reported as cached than as input; they were added to the input",
        ),
        (
            {"input_tokens": 10, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 40}},
            "more tokens were reported as reasoning than as output; they were added to the output",
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"audio_tokens": 11}},
            "more tokens were reported as audio than in all; the audio was cut to the whole",
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5}, None),
    ],
)
def test_what_was_mended_is_noted_on_the_usage(payload, note):
    usage = usage_from_raw(payload)
    assert usage.notes == (() if note is None else (note,))
    assert Usage.from_dict(usage.to_dict()).notes == usage.notes
    assert usage == replace(usage, notes=())
