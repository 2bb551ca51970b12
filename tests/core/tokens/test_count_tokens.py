"""Token counts equal tiktoken's where the vocabulary is at hand, and say when they are estimates."""

from __future__ import annotations

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from tests.core.tokens.sentences import SENTENCES
from tokenomics_core import ConfigurationError
from tokenomics_core.tokens import (
    MEDIA_TOKENS,
    TokenCount,
    Vocabularies,
    count_tokens,
    estimate_tokens,
    load_vocabulary,
)
from tokenomics_core.tokens._families import family_of

NOTHING = Vocabularies(folders=list, loaded=lambda name: None)
"""No vocabulary at hand; used with `download="never"`."""

# The example of OpenAI's cookbook, whose counts its API confirmed: 129 for gpt-4, 124 for gpt-4o.
COOKBOOK = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate jargon into "
        "plain English.",
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities for "
        "increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]

texts = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="ab <|endoftext|>\n", max_size=200),
    st.lists(st.sampled_from([line for lines in SENTENCES.values() for line in lines]), max_size=4).map(
        " ".join
    ),
)


@settings(deadline=None)
@given(text=texts)
def test_text_counts_as_tiktoken_counts_it(encodings, text):
    for model, encoding in {"gpt-4o": "o200k_base", "gpt-4": "cl100k_base", "o3": "o200k_base"}.items():
        count = count_tokens(text, model, download="never")
        assert count == len(encodings[encoding].encode_ordinary(text))
        assert not count.estimated


@pytest.mark.parametrize(("model", "tokens"), [("gpt-4", 129), ("gpt-4-0613", 129), ("gpt-4o", 124)])
def test_the_cookbooks_messages_count_as_its_api_did(vocabulary_folder, model, tokens):
    count = count_tokens(COOKBOOK, model, download="never")
    assert count == tokens
    assert not count.estimated


def test_every_framework_gives_the_same_count(vocabulary_folder):
    pairs = [("system", "Be brief."), ("user", "What is 2 + 2?"), ("assistant", "4"), ("user", "Sure?")]
    alike: list[Any] = [
        pairs,
        [{"role": role, "content": text} for role, text in pairs],
        [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in pairs],
        [ChatMessage(role=role, content=text) for role, text in pairs],
        [SystemMessage(pairs[0][1]), HumanMessage(pairs[1][1]), AIMessage("4"), HumanMessage("Sure?")],
        ChatPromptTemplate.from_messages(pairs).invoke({}),
        iter(pairs),
    ]
    counts = [count_tokens(messages, "gpt-4o", download="never") for messages in alike]
    assert len(set(counts)) == 1
    assert not any(count.estimated for count in counts)


def test_one_message_counts_like_a_list_of_it():
    for message in (
        {"role": "user", "content": "Hi"},
        HumanMessage("Hi"),
        ChatMessage(role="user", content="Hi"),
    ):
        assert count_tokens(message, "gpt-4o", download="never") == count_tokens(
            [message], "gpt-4o", download="never"
        )
    assert count_tokens(["Hi"], "gpt-4o", download="never") == count_tokens(
        [("user", "Hi")], "gpt-4o", download="never"
    )


CALL = {"name": "search", "args": {"query": "weather in Rome"}, "id": "call_1", "type": "tool_call"}
WITH_CALLS = {
    "openai": [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "function": {"name": "search", "arguments": '{"query":"weather in Rome"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ],
    "langchain": [
        AIMessage("", tool_calls=[CALL]),
        ToolMessage("sunny", tool_call_id="call_1"),
    ],
    "langchain over anthropic, which repeats calls in the content": [
        AIMessage(
            [{"type": "tool_use", "id": "call_1", "name": "search", "input": CALL["args"]}], tool_calls=[CALL]
        ),
        ToolMessage("sunny", tool_call_id="call_1"),
    ],
    "anthropic": [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "call_1", "name": "search", "input": CALL["args"]}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "call_1",
                    "content": [{"type": "text", "text": "sunny"}],
                }
            ],
        },
    ],
    "openai responses": [
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "search",
            "arguments": json.dumps(CALL["args"]),
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    ],
    "llama-index": [
        ChatMessage.model_validate(
            {
                "role": "assistant",
                "blocks": [
                    {
                        "block_type": "tool_call",
                        "tool_call_id": "call_1",
                        "tool_name": "search",
                        "tool_kwargs": CALL["args"],
                    }
                ],
            }
        ),
        ChatMessage(role="tool", content="sunny", additional_kwargs={"tool_call_id": "call_1"}),
    ],
}


@pytest.mark.parametrize("framework", WITH_CALLS)
def test_tool_calls_count_once_and_as_estimates(vocabulary_folder, framework):
    messages = WITH_CALLS[framework]
    count = count_tokens(messages, "gpt-4o", download="never")
    assert count.estimated
    told = int(count_tokens('search {"query":"weather in Rome"} sunny', "gpt-4o", download="never"))
    assert told < count < told + 40


def test_a_call_that_stands_in_two_places_counts_once(vocabulary_folder):
    once = count_tokens(WITH_CALLS["langchain"], "gpt-4o", download="never")
    twice_told = WITH_CALLS["langchain over anthropic, which repeats calls in the content"]
    assert count_tokens(twice_told, "gpt-4o", download="never") == once

    message = WITH_CALLS["llama-index"][0]
    also_beside = message.model_copy(
        update={"additional_kwargs": {"tool_calls": WITH_CALLS["openai"][0]["tool_calls"]}}
    )
    assert count_tokens(also_beside, "gpt-4o", download="never") == count_tokens(
        message, "gpt-4o", download="never"
    )


@pytest.mark.parametrize(("model", "documented"), [("gpt-4o", True), ("gpt-4", True), ("gpt-5", False)])
def test_framing_that_openai_did_not_document_makes_an_estimate(vocabulary_folder, model, documented):
    assert not count_tokens("Hi", model, download="never").estimated
    assert count_tokens([("user", "Hi")], model, download="never").estimated is not documented


class Weather(BaseModel):
    """Look up the weather of a city."""

    city: str


def weather(city: str) -> str:
    """Look up the weather of a city."""
    return city


@pytest.mark.parametrize(
    "given_tool",
    [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Look up the weather of a city."},
        },
        '{"name": "weather", "description": "Look up the weather of a city."}',
        tool(weather),
        FunctionTool.from_defaults(weather),
        Weather,
        weather,
    ],
    ids=["mapping", "text", "langchain", "llama-index", "pydantic", "function"],
)
def test_tools_add_their_schema_as_an_estimate(vocabulary_folder, given_tool):
    bare = count_tokens("Hi", "gpt-4o", download="never")
    with_tool = count_tokens("Hi", "gpt-4o", tools=[given_tool], download="never")
    assert with_tool.estimated
    assert bare + 8 < with_tool < bare + 200


IMAGES = {
    "openai": {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "data:" + "A" * 9000}}],
    },
    "openai low": {
        "role": "user",
        "content": [
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}}
        ],
    },
    "openai responses": {
        "role": "user",
        "content": [{"type": "input_image", "image_url": "data:" + "A" * 9000}],
    },
    "anthropic": {
        "role": "user",
        "content": [{"type": "image", "source": {"type": "base64", "data": "A" * 9000}}],
    },
    "langchain": HumanMessage([{"type": "image", "base64": "A" * 9000, "mime_type": "image/png"}]),
    "llama-index": ChatMessage(role="user", blocks=[ImageBlock(url="https://example.org/a.png")]),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_counts_at_a_flat_rate_and_never_as_its_bytes(vocabulary_folder, kind):
    empty = count_tokens({"role": "user", "content": ""}, "gpt-4o", download="never")
    count = count_tokens(IMAGES[kind], "gpt-4o", download="never")
    assert count - empty == MEDIA_TOKENS["low" if kind.endswith("low") else "other"]
    assert count.estimated
    assert "1 images or files at a flat rate" in count.method


def test_a_document_given_as_text_counts_as_text(vocabulary_folder):
    block = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "word " * 500},
    }
    assert 500 < count_tokens({"role": "user", "content": [block]}, "gpt-4o", download="never") < 520


def test_mixed_blocks_count_all_their_text(vocabulary_folder):
    blocks = [
        TextBlock(text="word " * 100),
        ImageBlock(url="https://example.org/a.png"),
        TextBlock(text="end"),
    ]
    count = count_tokens([ChatMessage(role="user", blocks=blocks)], "gpt-4o", download="never")
    assert MEDIA_TOKENS["other"] + 100 < count < MEDIA_TOKENS["other"] + 115


@pytest.mark.parametrize(
    ("model", "provider", "encoding", "exact"),
    [
        ("gpt-4o", None, "o200k_base", True),
        ("openai/gpt-4o-mini-2024-07-18", None, "o200k_base", True),
        ("openai:gpt-4.1", None, "o200k_base", True),
        ("azure/gpt-5.2", None, "o200k_base", True),
        ("global.openai.gpt-5.6-sol", None, "o200k_base", True),
        ("ft:gpt-4o-mini:acme::x", None, "o200k_base", True),
        ("o1", None, "o200k_base", True),
        ("openai/o4-mini", None, "o200k_base", True),
        ("openai/gpt-oss-120b", "groq", "o200k_harmony", True),
        ("gpt-4-turbo", None, "cl100k_base", True),
        ("gpt-3.5-turbo-0125", None, "cl100k_base", True),
        ("gpt-35-turbo", "azure", "cl100k_base", True),
        ("ft:gpt-3.5-turbo:acme::x", None, "cl100k_base", True),
        ("text-embedding-3-small", None, "cl100k_base", True),
        ("gpt-6-astra", None, "o200k_base", False),
        ("my-deployment", "azure_openai", "o200k_base", False),
        ("claude-sonnet-4-5-20250929", None, "o200k_base", False),
        ("deepseek-r1-distill-llama-70b", None, "o200k_base", False),
        ("marco-o1", None, "o200k_base", False),
        ("gpt-neox-20b", None, "o200k_base", False),
        (None, None, "o200k_base", False),
    ],
)
def test_a_models_name_tells_its_vocabulary(model, provider, encoding, exact):
    family = family_of(model, provider)
    assert (family.encoding, family.exact) == (encoding, exact)


@pytest.mark.parametrize(
    ("model", "newer"),
    [
        ("claude-3-5-sonnet-20241022", False),
        ("anthropic.claude-v2:1", False),
        ("claude-opus-4-20250514", False),
        ("claude-opus-4-1-20250805", False),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", False),
        ("claude-opus-4.6", False),
        ("claude-haiku-4-5", False),
        ("claude-opus-4-7", True),
        ("claude-opus-4-10", True),
        ("anthropic/claude-opus-4.8", True),
        ("claude-sonnet-5-5", True),
        ("claude-fable-5", True),
    ],
)
def test_newer_claude_models_are_known_by_their_version(model, newer):
    assert (family_of(model).name == "Claude, newer tokenizer") is newer


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-7",
        "claude-3-haiku",
        "gemini-2.5-pro",
        "llama-3.3-70b",
        "qwen3-32b",
        "mistral-large",
        "new",
    ],
)
@pytest.mark.parametrize("language", ["English", "Hindi", "Chinese"])
def test_other_vocabularies_are_estimated_above_o200k(vocabulary_folder, model, language):
    text = " ".join(SENTENCES[language])
    ours, theirs = count_tokens(text, "gpt-4o", download="never"), count_tokens(text, model, download="never")
    assert theirs.estimated
    assert ours < theirs < 3.5 * ours


def test_text_of_several_scripts_gets_a_factor_between_those_of_its_scripts(vocabulary_folder):
    english, hindi = " ".join(SENTENCES["English"]), " ".join(SENTENCES["Hindi"])

    def factor(text: str) -> float:
        return count_tokens(text, "qwen3", download="never") / count_tokens(text, "gpt-4o", download="never")

    assert factor(english) < factor(english + hindi) < factor(hindi)


def test_no_model_counts_in_o200k_and_says_that_it_is_an_estimate(encodings):
    count = count_tokens("Hello there", download="never")
    assert count == len(encodings["o200k_base"].encode_ordinary("Hello there"))
    assert count.estimated


def test_without_a_vocabulary_the_characters_are_judged():
    text = SENTENCES["English"][0]
    count = count_tokens(text, "gpt-4o", download="never", vocabularies=NOTHING)
    assert count == estimate_tokens(text)
    assert count.estimated
    assert count.method == "characters by script"


@settings(deadline=None)
@given(text=texts)
def test_without_a_vocabulary_no_text_breaks_the_count(text):
    assert count_tokens(text, "claude-x", download="never", vocabularies=NOTHING) >= 0


@pytest.mark.parametrize("character", ["a", " ", "-", "\n", "é", "漢", "\t ", "🙂", "a\u0301"])
def test_endless_repetition_is_counted_in_finite_time(vocabulary_folder, character):
    text = character * (1_000_000 // len(character))
    count = count_tokens(text, "gpt-4o", download="never")
    assert count.estimated or character == "a\u0301"  # marks end a run, so nothing was cut
    assert 0 < count <= 3 * len(text)


def test_cutting_an_endless_run_changes_the_count_by_little(encodings):
    text = "see " + "x" * 45_003 + " and " + " " * 30_001 + "end"
    exact = len(encodings["o200k_base"].encode_ordinary(text))
    assert exact <= count_tokens(text, "gpt-4o", download="never") <= exact + 12


def test_long_ordinary_text_is_not_cut(encodings):
    text = " ".join(line for lines in SENTENCES.values() for line in lines) * 20
    count = count_tokens(text, "gpt-4o", download="never")
    assert count == len(encodings["o200k_base"].encode_ordinary(text))
    assert not count.estimated


def test_many_threads_count_alike(vocabulary_folder):
    vocabularies = Vocabularies()

    def count(number: int) -> int:
        return count_tokens(f"number {number % 7}", "gpt-4o", download="never", vocabularies=vocabularies)

    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(count, range(200)))
    assert counts == [count(number) for number in range(200)]


def test_a_count_is_a_number_that_keeps_what_it_knows():
    count = TokenCount(12, estimated=True, method="by hand")
    assert count + 1 == 13
    assert f"{count} {count:,}" == "12 12"
    assert str(count) == "12"
    assert json.dumps({"tokens": count}) == '{"tokens": 12}'
    assert repr(count) == "TokenCount(12, estimated=True, method='by hand')"
    for same in (pickle.loads(pickle.dumps(count)), copy.copy(count)):
        assert (same, same.estimated, same.method) == (12, True, "by hand")


@pytest.mark.parametrize(
    "nonsense", [None, 3, [3], [{"content": "no role"}], [("user",)], b"bytes", object()]
)
def test_what_is_no_message_is_refused(nonsense):
    with pytest.raises(ConfigurationError, match="nothing was counted"):
        count_tokens(nonsense, "gpt-4o", download="never")


def test_an_unknown_way_to_download_is_refused():
    with pytest.raises(
        ConfigurationError, match="download must be one of background, wait, never, not 'yes'"
    ):
        count_tokens("Hi", "gpt-4o", download="yes")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": 5}, "model must be a name, not 5; nothing was counted"),
        ({"model": ["gpt-4o"]}, r"model must be a name, not \['gpt-4o'\]"),
        ({"model": "gpt-4o", "provider": 5}, "provider must be a name, not 5"),
        ({"tools": 5}, "tools must be a list of tools or schemas, not 5; nothing was counted"),
    ],
)
def test_an_argument_of_a_wrong_type_is_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        count_tokens("hi", **arguments)


def test_a_vocabulary_of_what_is_no_model_is_refused():
    with pytest.raises(ConfigurationError, match="model must be a name, not 5"):
        load_vocabulary(5)
