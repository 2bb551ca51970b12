"""Two requests share a partition only where nothing but the last question differs."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import os
import subprocess
import sys
from decimal import Decimal
from typing import TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tokenomics_core.cache import ChatRequest, KeyRule, partition_of
from tokenomics_core.cache._canonical import canonical
from tokenomics_core.errors import ConfigurationError

keys = st.one_of(st.text(max_size=6), st.integers(-3, 3), st.booleans(), st.none())
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=False),
    st.sampled_from(["", "1", "l", "m", "true", "null", '["l"]', '","', "\x1f", "a", "ab"]),
    st.text(max_size=6),
    st.binary(max_size=4),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-9, max_value=9),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=8,
)


def same(one, other) -> bool:
    """Tell the slow and plain way whether two values are equal, their kinds included."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        if len(one) != len(other):
            return False
        return all(any(same(a, b) and same(x, y) for b, y in other.items()) for a, x in one.items())
    if isinstance(one, Decimal):
        return str(one) == str(other)
    return one == other


@given(values, values)
@settings(max_examples=1_000)
def test_values_are_written_alike_exactly_where_they_are_equal(one, other):
    assert (canonical(one) == canonical(other)) == same(one, other)


texts = st.text('ab|,"[]{}:\\\x1f\n1', max_size=5)
parts = st.fixed_dictionaries(
    {},
    optional={
        "tenant": texts,
        "model": texts,
        "settings": st.dictionaries(texts, st.one_of(texts, st.integers(0, 2)), max_size=2),
        "tools": st.lists(st.dictionaries(texts, texts, max_size=2), max_size=2),
        "response_schema": st.dictionaries(texts.filter(lambda key: key != "title"), texts, max_size=2),
        "system": texts,
        "history": st.lists(texts, max_size=3),
        "source_versions": st.dictionaries(texts, texts, max_size=2),
        "epoch": texts,
        "extra": texts,
    },
)


@given(parts, parts)
@settings(max_examples=1_000)
def test_no_two_requests_that_differ_share_a_partition(one, other):
    full = {"settings": {}, "tools": [], "history": [], "source_versions": {}, "epoch": "0"}
    assert (partition_of(**one) == partition_of(**other)) == (full | one == full | other)


def test_moving_text_from_one_part_to_the_next_gives_another_partition():
    made = [
        partition_of(system="ab", history=["c"]),
        partition_of(system="a", history=["bc"]),
        partition_of(system="abc", history=[]),
        partition_of(system="", history=["abc"]),
        partition_of(system="", history=["ab", "c"]),
        partition_of(system="", history=["a", "bc"]),
        partition_of(model="abc"),
        partition_of(tenant="abc"),
    ]
    assert len(set(made)) == len(made)


def test_order_of_settings_does_not_count_and_order_of_turns_does():
    assert partition_of(settings={"a": 1, "b": 2}) == partition_of(settings={"b": 2, "a": 1})
    assert partition_of(history=["a", "b"]) != partition_of(history=["b", "a"])


def test_every_process_names_a_partition_alike():
    code = (
        "from tokenomics_core.cache import partition_of;"
        "print(partition_of(tenant='ada', settings={'stop': ['x'], 'tags': {'b', 'a', 'c'}}, secret=b'k'))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("1", "2", "3")
    }
    assert told == {
        partition_of(tenant="ada", settings={"stop": ["x"], "tags": {"c", "b", "a"}}, secret=b"k")
    }


def test_a_tenant_stands_in_it_only_as_a_digest_that_needs_the_secret():
    assert "zoe" not in partition_of(tenant="zoe")
    assert partition_of(tenant="ada", secret=b"one") != partition_of(tenant="ada", secret=b"two")
    assert partition_of(tenant="ada", secret=b"one") != partition_of(tenant="ada")
    with pytest.raises(ConfigurationError, match="secret must not be empty"):
        partition_of(tenant="ada", secret=b"")


def schema_class(name: str, **kinds: type) -> type[BaseModel]:
    return type(name, (BaseModel,), {"__annotations__": kinds, "__module__": __name__})


def test_a_response_schema_counts_by_content_and_not_by_name():
    number = schema_class("Answer", number=int)
    assert partition_of(response_schema=number) == partition_of(
        response_schema=schema_class("Other", number=int)
    )
    assert partition_of(response_schema=number) != partition_of(
        response_schema=schema_class("Answer", number=str)
    )
    assert partition_of(response_schema=number) == partition_of(response_schema=number.model_json_schema())


def test_dataclasses_and_typed_dictionaries_are_schemas_too():
    @dataclasses.dataclass
    class One:
        number: int
        inner: list[int]

    @dataclasses.dataclass
    class Two:
        number: int
        inner: list[str]

    class Three(TypedDict):
        number: int
        inner: list[int]

    assert partition_of(response_schema=One) != partition_of(response_schema=Two)
    assert partition_of(response_schema=One) == partition_of(response_schema=Three)


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "like"),
    [
        (Colour.RED, "red"),
        ((1, 2), [1, 2]),
        (frozenset({"b", "a"}), {"a", "b"}),
        (0.0, 0),
        (2.0, 2),
        (bytearray(b"x"), b"x"),
    ],
)
def test_values_of_equal_content_are_written_alike(value, like):
    assert canonical(value) == canonical(like)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (1, True),
        (0, False),
        (1, "1"),
        (None, "null"),
        ({1: "a"}, {"1": "a"}),
        ([], {}),
        ([], set()),
        (["l", 1], [["l", 1]]),
        (float("nan"), "nan"),
        (datetime.date(2026, 1, 1), "2026-01-01"),
        (Decimal(1), 1),
        (b"ab", "ab"),
    ],
)
def test_values_of_other_kinds_are_written_otherwise(value, other):
    assert canonical(value) != canonical(other)


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ConfigurationError, match="function has no content"):
        partition_of(settings={"callback": lambda: None})
    with pytest.raises(ConfigurationError, match="object has no content"):
        partition_of(extra=object())


def test_what_contains_itself_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises(ConfigurationError, match="nested deeper"):
        partition_of(extra=endless)


def test_tools_of_one_shape_and_other_names_are_other_tools():
    class Refund(BaseModel):
        order: str

    class Charge(BaseModel):
        order: str

    assert partition_of(tools=[Refund]) != partition_of(tools=[Charge])
    shape = {"type": "object", "properties": {"order": {"type": "string"}}}
    titled = [{"title": name, **shape} for name in ("refund", "charge")]
    assert partition_of(tools=titled[:1]) != partition_of(tools=titled[1:])


def test_a_tenant_that_is_no_text_is_refused():
    with pytest.raises(ConfigurationError, match="tenant must be a string, not 7"):
        partition_of(tenant=7)


@pytest.mark.parametrize("history", ["none", 0, 1])
@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_amid_a_conversation_always_count(history, role):
    def placed(language):
        messages = [
            {"role": "system", "content": "You help."},
            {"role": "user", "content": "Hello"},
            {"role": role, "content": f"From now on answer in {language}."},
            {"role": "user", "content": "Thank you"},
            {"role": "assistant", "content": "Gladly"},
            {"role": "user", "content": "What is a cache?"},
        ]
        return KeyRule(history=history).key_of(ChatRequest(messages=messages)).partition

    assert placed("French") != placed("German")
    assert placed("French") == placed("French")
