"""Every planted waste is found, none where nothing is, and the dollars are those of the price book."""

import base64
import copy
import json
import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.prompts.clean_prompts import CLEAN
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook
from tokenomics_core.prompts import analyze_prompt
from tokenomics_core.tokens import count_tokens

MODEL = "gpt-4o"
ROWS = [
    {"id": index, "name": f"item {index}", "price": {"amount": index * 3, "currency": "EUR"}}
    for index in range(8)
]
PAGE = (
    "<div class='row'><ul>"
    + "".join(f"<li><a href='/p/{n}'>Part {n}</a></li>" for n in range(20))
    + "</ul></div>"
)
LONG_SCHEMA = {
    "name": "search_orders",
    "description": "Search orders. " * 40,
    "input_schema": {
        "type": "object",
        "properties": {
            f"filter_{n}": {"type": "string", "description": f"Filter number {n} of the search."}
            for n in range(50)
        },
    },
}


def _first(messages):
    return next((message for message in messages if message["role"] == "system"), messages[0])


def _duplicate(messages, tools):
    said = "Never tell a customer the price that another customer has paid for the same product. "
    _first(messages)["content"] += f"\n{said}"
    messages[-1]["content"] = f"{said}\n{messages[-1]['content']}"


def _stamp(messages, tools):
    messages.insert(
        0,
        {"role": "system", "content": f"Current time: 2026-03-04T10:22:07Z\n{'Be brief and friendly. ' * 3}"},
    )


def _request_id(messages, tools):
    messages.insert(
        0,
        {
            "role": "system",
            "content": "request_id: 7f1c9e2a-4b1d-4c55-9a77-2f0c8e1d3b66\nYou work for a shop of shoes.",
        },
    )


def _indented(messages, tools):
    messages[-1]["content"] = f"{json.dumps(ROWS, indent=4)}\n\n{messages[-1]['content']}"


def _schema(messages, tools):
    tools.append(LONG_SCHEMA)


def _verbose(messages, tools):
    _first(messages)["content"] += (
        " Please make sure that you answer well. It is very important to note that quality counts. As an "
        "AI language model you must do your very best at all times. Take a deep breath. Thank you so much!"
    )


def _blanks(messages, tools):
    steps = [f"Step {n}." + " " * (30 + n) + "Go on." for n in range(8)]
    _first(messages)["content"] += ("\n \n\t\n" + "=-" * 20 + "\n \n\n").join(steps)


def _embedded(messages, tools):
    blob = base64.b64encode(random.Random(5).randbytes(400)).decode()
    messages[-1]["content"] += f"\ndata:image/png;base64,{blob}"


def _markup(messages, tools):
    messages[-1]["content"] = f"{PAGE}\n{messages[-1]['content']}"


def _history(messages, tools):
    turns = [
        {
            "role": ("user", "assistant")[n % 2],
            "content": f"Turn {n}: " + " ".join(f"{n}x{k} word{k * n}" for k in range(60)),
        }
        for n in range(12)
    ]
    messages[-1:-1] = turns


PLANTS = {
    "duplicate": [_duplicate],
    "unstable_prefix": [_stamp, _request_id],
    "indented_json": [_indented],
    "oversized_schema": [_schema],
    "verbose": [_verbose],
    "whitespace": [_blanks],
    "embedded_data": [_embedded],
    "markup": [_markup],
    "long_history": [_history],
}


def planted(number):
    """Plant one waste, and in every second prompt another, into a clean prompt."""
    messages, tools = copy.deepcopy(CLEAN[number % len(CLEAN)])
    names = list(PLANTS)
    chosen = {names[number % len(names)]}
    if number % 2:
        chosen.add(names[(number * 5 + 3) % len(names)])
    for name in sorted(chosen):
        PLANTS[name][number % len(PLANTS[name])](messages, tools)
    return messages, tools, chosen


@pytest.mark.parametrize("number", range(40))
def test_what_was_planted_is_found_and_nothing_else(number):
    messages, tools, chosen = planted(number)
    report = analyze_prompt(messages, MODEL, tools=tools)
    assert {suggestion.waste.kind for suggestion in report.suggestions} == chosen


@pytest.mark.parametrize("number", range(20))
def test_a_clean_prompt_raises_no_alarm(number):
    messages, tools = CLEAN[number]
    assert analyze_prompt(messages, MODEL, tools=tools).suggestions == ()


@given(
    st.lists(
        st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), st.text(max_size=300)), max_size=8
    )
)
def test_any_prompt_is_analysed_and_its_parts_are_not_more_than_the_whole(turns):
    messages = [{"role": role, "content": text} for role, text in turns]
    report = analyze_prompt(messages, MODEL, calls_per_month=1000)
    assert sum(share.tokens for share in report.shares) <= report.tokens + 2 * len(messages)
    for suggestion in report.suggestions:
        assert suggestion.tokens_saved <= report.tokens + 10
    assert str(report)
    assert "<table" in report._repr_html_()


def test_dollars_are_those_of_the_price_book():
    messages, tools, _ = planted(2)
    report = analyze_prompt(messages, MODEL, tools=tools, calls_per_month=10_000)
    rate = PriceBook().price(MODEL).input_usd_per_mtok
    assert report.usd == rate * report.tokens / 1_000_000
    (suggestion,) = report.suggestions
    assert suggestion.usd_per_call == rate * suggestion.tokens_saved / 1_000_000
    assert suggestion.usd_per_month == suggestion.usd_per_call * 10_000


def test_an_unstable_prefix_saves_the_difference_to_the_cached_price():
    messages, tools, _ = planted(1)
    report = analyze_prompt(messages, MODEL, tools=tools)
    found = next(each for each in report.suggestions if each.waste.kind == "unstable_prefix")
    assert found.usd_per_call == found.tokens_saved * (Decimal("2.5") - Decimal("1.25")) / 1_000_000


def test_parts_are_named_by_who_says_them_and_where_they_come_from():
    messages, tools = CLEAN[1]
    shares = {(share.role, share.source) for share in analyze_prompt(messages, MODEL, tools=tools).shares}
    assert shares == {("system", "system"), ("user", "context"), ("user", "question")}
    messages, tools = CLEAN[3]
    shares = {(share.role, share.source) for share in analyze_prompt(messages, MODEL).shares}
    assert shares == {("system", "system"), ("system", "few-shot"), ("user", "question")}
    messages, tools = CLEAN[14]
    shares = {(share.role, share.source) for share in analyze_prompt(messages, MODEL).shares}
    assert shares == {
        ("system", "system"),
        ("user", "question"),
        ("assistant", "history"),
        ("tool", "tool results"),
    }


def test_an_unknown_model_has_tokens_and_no_dollars():
    report = analyze_prompt("Say it again. " * 20, "no-such-model", calls_per_month=5)
    assert report.usd is None
    assert report.estimated
    assert all(each.usd_per_month is None for each in report.suggestions)
    assert "no price is known for no-such-model" in str(report)


def test_suggestions_come_by_what_they_save():
    messages, tools, _ = planted(3)
    saved = [each.usd_per_call for each in analyze_prompt(messages, MODEL, tools=tools).suggestions]
    assert saved == sorted(saved, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"content": "x"}, MODEL), "role"),
        (("x", MODEL, -1), "calls_per_month must be 0 or more"),
    ],
)
def test_what_cannot_be_analysed_is_refused(arguments, message):
    prompt, model, *volume = arguments
    with pytest.raises(ConfigurationError, match=message):
        analyze_prompt(prompt, model, calls_per_month=volume[0] if volume else None)


def test_a_tool_that_is_no_schema_is_refused():
    with pytest.raises(ConfigurationError, match="schema must be a mapping"):
        analyze_prompt("x", MODEL, tools=["search"])


@pytest.mark.parametrize(
    "text",
    [
        "Write times as HH:MM:SS, for example 14:30:00, and dates such as 2024-01-31T14:30:00Z. Be brief.",
        "Return JSON with the fields request_id: string and session_id: string. Invent no id. Be brief.",
    ],
)
def test_a_form_that_is_described_does_not_change_from_call_to_call(text):
    tool = {"name": "book", "description": "Books a flight at a time, 2024-01-15T09:30:00Z or later."}
    messages = [{"role": "system", "content": text}, {"role": "user", "content": "When?"}]
    found = analyze_prompt(messages, MODEL, tools=[tool]).suggestions
    assert "unstable_prefix" not in {each.waste.kind for each in found}


CODE = """Why is the sum wrong?

def total(rows):
    result = 0
    for row in rows:
        if row["ok"]:
            for item in row["items"]:
                if item.price is not None:
                    result += item.price
                    if result > 100:
                        return result
    return result
"""
CONFIG = "Check this.\n" + "".join(
    f"service_{n}:\n    image: shop\n    ports:\n        - {8000 + n}\n            name: web\n"
    for n in range(8)
)


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        CODE.partition("\n\n")[2],
        CONFIG,
        "You answer for the hotel. Guests may call us at any time: 1712345678. Be kind to them, always.",
        "You answer for the shop, whose phone, day and night time, 1655512345, is not to be told.",
        "The account 1655512345 belongs to the shop, and order 1712345678 to the first of its customers.",
    ],
)
@pytest.mark.parametrize("role", ["system", "user"])
def test_code_without_a_fence_and_numbers_of_ten_digits_are_no_waste(role, text):
    messages = [{"role": role, "content": text}, {"role": "user", "content": "Well?"}]
    assert analyze_prompt(messages, MODEL).suggestions == ()


@pytest.mark.parametrize(
    "stamp",
    ["Timestamp: 1712345678.", "server_time=1712345678123", '{"ts": 1712345678}', "Now is 1712345678."],
)
def test_seconds_since_1970_are_a_time_behind_a_word_for_time(stamp):
    text = f"{stamp} You call the tools of the shop, and you are kind to everybody who asks for anything."
    messages = [{"role": "system", "content": text}, {"role": "user", "content": "Well?"}]
    assert [one.waste.kind for one in analyze_prompt(messages, MODEL).suggestions] == ["unstable_prefix"]


def test_an_indentation_that_all_lines_share_is_a_waste():
    rules = "\n".join(f"            Rule {n}: guest {n} comes before guest {n + 1}." for n in range(12))
    messages = [{"role": "system", "content": f"You help.\n{rules}"}, {"role": "user", "content": "Well?"}]
    assert [one.waste.kind for one in analyze_prompt(messages, MODEL).suggestions] == ["whitespace"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "[\n" * 20_000,
        '{"a":' * 20_000,
        "\n" * 30_000 + "x",
        "Question:" + "\n" * 30_000 + "x",
        "context" + " " * 30_000 + "x",
        "<context>" * 10_000,
        "very " * 20_000,
        "<div" * 20_000,
    ],
    ids=lambda text: text[:9].strip() or "blank",
)
def test_text_made_to_be_slow_is_read_in_the_time_of_its_length(text):
    messages = [{"role": "system", "content": text}, {"role": "user", "content": "Well?"}]
    assert analyze_prompt(messages, MODEL).tokens > 0


def test_context_is_found_in_the_first_block_that_is_closed():
    text = "Use <sources> well.\n<context>Paris lies on the Seine.</context>\nWhere is Paris?"
    shares = analyze_prompt([{"role": "user", "content": text}], MODEL).shares
    context = next(share for share in shares if share.source == "context")
    assert context.tokens == count_tokens("<context>Paris lies on the Seine.</context>", MODEL)
