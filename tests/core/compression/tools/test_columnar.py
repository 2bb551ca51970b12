"""JSON as tables says everything that the JSON said, to the digit."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.compression import compress_tool_output, restore_json
from tokenomics_core.errors import ConfigurationError

NAMES = st.sampled_from(["id", "name", "a.b", "a b", "x", "3 rows", "1", "@key", "k?", "ü", "", "a=b", "…"])
LOOKS_LIKE = [
    *(
        "",
        " x",
        "x ",
        "1",
        "-1.0",
        "1e5",
        "true",
        "null",
        "@key",
        "3 rows: a",
        "2 of 3 rows: a",
        "… 2 of 3 left out",
        "a,b",
        "{",
        "[x]",
    ),
    *(
        'he said "hi"',
        "line\nbreak",
        "东京",
        "\u2028",
        "a=b",
        "a:b",
        "\x7f",
        "\ud800",
        "NaN",
        "-",
        "\\",
        "\t",
        ":text",
    ),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = SCALARS | st.sampled_from(LOOKS_LIKE) | st.text(max_size=8)


def _records(values):
    """Lists and objects of records that share most of their names, as tools return them."""
    names = st.lists(NAMES, min_size=1, max_size=4, unique=True)
    rows = names.flatmap(
        lambda found: st.lists(
            st.fixed_dictionaries({found[0]: values}, optional=dict.fromkeys(found[1:], values)), max_size=4
        )
    )
    keyed = rows.flatmap(
        lambda found: st.lists(
            st.sampled_from(LOOKS_LIKE), min_size=len(found), max_size=len(found), unique=True
        ).map(lambda keys: dict(zip(keys, found, strict=True)))
    )
    return rows | keyed


VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3) | _records(inner),
    max_leaves=25,
)


def minified(value):
    """Write JSON without blanks, by the standard library."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@given(VALUES)
def test_what_is_compressed_without_a_budget_comes_back_to_the_digit(value):
    text = json.dumps(value, indent=1)
    short = compress_tool_output(text, kind="json", count=len)
    assert short.lossless
    assert not short.missing
    assert json.loads(restore_json(short.text)) == value
    assert list(_spelled(json.loads(restore_json(short.text)))) == list(_spelled(value))
    assert short.tokens_after <= min(len(text), len(json.dumps(value, separators=(",", ":"))))


def _spelled(value):
    """Walk a value in its order, telling 1 from 1.0 and from True."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _spelled(inner)
    elif isinstance(value, list):
        yield len(value)
        for inner in value:
            yield from _spelled(inner)
    else:
        yield repr(value)


def test_a_list_of_records_names_each_column_once():
    flights = [
        {"flight": "HAT001", "from": "PHL", "seats": {"economy": 16, "business": 10}, "price": 87.50},
        {"flight": "HAT002", "from": "PHL", "seats": {"economy": 7, "business": 1}, "price": 99.0},
        {"flight": "HAT003", "from": "PHL", "seats": {"economy": 9, "business": 4}, "price": 71.25},
    ]
    short = compress_tool_output(json.dumps(flights))
    assert short.text == (
        "[3 rows: flight,from=PHL,seats{economy,business},price\n"
        "HAT001,16,10,87.5\nHAT002,7,1,99.0\nHAT003,9,4,71.25]"
    )


def test_an_object_of_records_says_its_keys_once():
    lamps = {
        str(100 + index): {"item_id": str(100 + index), "colour": colour, "zip": "0123"}
        for index, colour in enumerate(["red", "blue", "red"])
    }
    short = compress_tool_output(json.dumps(lamps))
    assert short.text == "{3 rows by key: item_id=@key,colour,zip=0123\n100,red\n101,blue\n102,red}"
    assert json.loads(restore_json(short.text)) == lamps


def test_missing_names_null_and_empty_text_are_told_apart():
    rows = [{"a": 1, "b": None}, {"a": 2}, {"a": 3, "b": ""}, {"a": 4, "b": "null"}]
    short = compress_tool_output(json.dumps(rows), count=len)
    assert json.loads(restore_json(short.text)) == rows


@pytest.mark.parametrize(
    "number", ["1.0", "1.00", "1e0", "-0", "0.1000", "123456789012345678901234567890", "1E+2"]
)
def test_a_number_keeps_its_spelling(number):
    text = f'[{{"a": {number}, "b": "x"}}, {{"a": 2, "b": "y"}}, {{"a": 3, "b": "z"}}]'
    assert f'"a":{number},' in restore_json(compress_tool_output(text, count=len).text)


@pytest.mark.parametrize("text", ["[NaN, 1]", "{'a': 1}", '{"a": 1} and more', "[" * 5000])
def test_what_is_no_json_is_left_as_it_is(text):
    short = compress_tool_output(text, kind="json", count=len)
    assert short.text == text


@pytest.mark.parametrize(
    "text",
    [
        *("[2 rows: a\n1", "[2 of 5 rows: a\n1\n2]", "{a:", "[2 rows: a\n1\n2]x", "hello {"),
        *(
            "[2 of 5 rows: a=1]",
            "[1,2,… 3 of 5 left out]",
            '{a:1,"…":… 3 of 5 left out}',
            "[[… 2 of 2 left out]]",
        ),
        *("… 3 lines left out …", "hello wor", "", "   "),
    ],
)
def test_what_is_not_whole_is_not_restored(text):
    with pytest.raises(ConfigurationError, match="nothing was restored"):
        restore_json(text)


@given(st.integers(2, 60), st.integers(0, 400))
def test_what_was_cut_to_a_budget_is_not_restored_as_if_it_were_whole(budget, numbers):
    value = {"rows": list(range(numbers)), "names": [{"name": f"n{n}"} for n in range(numbers)]}
    short = compress_tool_output(json.dumps(value), max_tokens=budget, count=lambda text: len(text) // 3)
    if short.lossless:
        assert json.loads(restore_json(short.text)) == value
    elif "left out" in short.text or " of " in short.text:
        with pytest.raises(ConfigurationError, match="nothing was restored"):
            restore_json(short.text)


def test_nesting_takes_no_time_that_doubles_with_each_level():
    value = 1
    for level in range(40):
        value = [{"level": level, "inner": value}, {"level": level, "inner": 0}]
    short = compress_tool_output(json.dumps(value), count=len)
    assert json.loads(restore_json(short.text)) == value


def test_a_string_that_says_something_was_left_out_is_restored():
    notes = [{"n": 1, "note": "… 3 of 5 left out"}, {"n": 2, "note": ["… 1 of 2 left out"]}]
    short = compress_tool_output(json.dumps(notes), count=len)
    assert short.lossless
    assert json.loads(restore_json(short.text)) == notes
