"""Both sides of a bill spell a model their own way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.economics import plain_name


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        (
            "gpt-4o",
            ["gpt-4o", "gpt-4o-2024-08-06", "openai/gpt-4o", "openai:gpt-4o", "GPT-4o ", "gpt-4o-20240806"],
        ),
        ("gpt-4o-mini", ["gpt-4o-mini-2024-07-18", "azure/gpt-4o-mini"]),
        ("gpt-4.1", ["gpt-4.1", "gpt-4.1-2025-04-14"]),
        ("ft-gpt-4o", ["ft-gpt-4o-2024-08-06", "ft:gpt-4o-2024-08-06:acme::x1y2"]),
        (
            "claude-sonnet-4-5",
            [
                "Claude Sonnet 4.5",
                "claude-sonnet-4-5",
                "claude-sonnet-4-5-20250929",
                "anthropic/claude-sonnet-4.5",
                "claude-sonnet-4-5@20250929",
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "claude-sonnet-4-5[1m]",
                "anthropic:claude-sonnet-4-5?effort=high",
            ],
        ),
        ("claude-3-5-haiku", ["claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"]),
        ("gemini-2.5-pro", ["models/gemini-2.5-pro", "gemini/gemini-2.5-pro"]),
        ("qwen2.5:7b", ["qwen2.5:7b"]),
        ("text-embedding-3-small", ["text-embedding-3-small"]),
        ("", [""]),
    ],
)
def test_every_spelling_becomes_the_one_that_both_share(name, spellings):
    assert {spelling: plain_name(spelling) for spelling in spellings} == dict.fromkeys(spellings, name)


@given(st.sampled_from(["gpt-4o", "claude-sonnet-4-5", "ft-gpt-4o", "gemini-2.5-pro", "qwen2.5:7b"]))
def test_a_plain_name_stays_as_it_is(name):
    assert plain_name(plain_name(name)) == plain_name(name) == name
