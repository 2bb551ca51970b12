"""A provider's own figure is found, exactly, and never invented."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.llms import ChatMessage, ChatResponse
from openai.types import CompletionUsage

from tokenomics_core.usage import reported_cost_usd

CASES = {
    "openrouter": ({"usage": {"prompt_tokens": 1, "cost": 0.00014}}, "0.00014"),
    "openrouter, free": ({"usage": {"cost": 0}}, "0"),
    "openrouter with an own key": (
        {"usage": {"cost": 0.0005, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.01}}},
        "0.0105",
    ),
    "openrouter, upstream cost only told": (
        {"usage": {"cost": 0.0105, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.01}}},
        "0.0105",
    ),
    "openrouter through ChatOpenAI": ({"token_usage": {"cost": 0.95}, "model_name": "m"}, "0.95"),
    "openrouter through ChatOpenRouter": ({"cost": 0.95, "cost_details": {}}, "0.95"),
    "openrouter through the openai sdk": (
        SimpleNamespace(
            usage=CompletionUsage(prompt_tokens=1, completion_tokens=1, total_tokens=2, cost=0.002)
        ),
        "0.002",
    ),
    "openrouter through llama-index": (
        ChatResponse(message=ChatMessage(content=""), raw={"usage": {"cost": 0.002}}),
        "0.002",
    ),
    "xai": ({"usage": {"cost_in_usd_ticks": 37_756_000}}, "0.0037756"),
    "perplexity": ({"usage": {"cost": {"input_tokens_cost": 0.001, "total_cost": 0.006}}}, "0.006"),
    "litellm": (SimpleNamespace(_hidden_params={"response_cost": 3.5e-05}), "0.000035"),
    "litellm proxy": ({"headers": {"x-litellm-response-cost": "0.00025"}}, "0.00025"),
    "litellm proxy without a price": (
        {"_hidden_params": {"additional_headers": {"x-litellm-response-cost": "0.0"}}},
        None,
    ),
    "litellm without a price": (SimpleNamespace(_hidden_params={"response_cost": 0.0}), None),
    "langchain's mark of a cache hit": ({"input_tokens": 3, "total_cost": 0}, None),
    "nothing": ({}, None),
    "no source": (None, None),
    "not a number": ({"usage": {"cost": float("nan")}}, None),
    "negative": ({"usage": {"cost": -1}}, None),
    "a word": ({"usage": {"cost": "free"}}, None),
    "a switch": ({"usage": {"cost": True}}, None),
}


@pytest.mark.parametrize("name", CASES)
def test_a_reported_cost_is_read_as_written(name):
    source, expected = CASES[name]
    assert reported_cost_usd(source) == (None if expected is None else Decimal(expected))


@settings(deadline=None)
@given(cost=st.floats(min_value=0, max_value=1e6, allow_nan=False))
def test_a_float_is_taken_by_its_shortest_digits(cost):
    assert float(reported_cost_usd({"usage": {"cost": cost}})) == cost
    assert len(str(reported_cost_usd({"usage": {"cost": cost}}))) <= len(repr(cost)) + 4


def test_the_bill_comes_before_what_a_gateway_computed():
    raw = SimpleNamespace(usage={"cost": 0.5}, _hidden_params={"response_cost": 0.4})
    assert reported_cost_usd(raw) == Decimal("0.5")


def test_the_first_source_with_a_cost_decides():
    assert reported_cost_usd(None, {"model": "m"}, {"cost": 2}, {"cost": 3}) == 2
