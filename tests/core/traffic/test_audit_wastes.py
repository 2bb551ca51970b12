"""Every other waste is found to the cent in a log small enough to add up by hand."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.core.traffic.audit_samples import DAY, MINUTE, START, call, waste
from tests.prices_by_hand import usd
from tokenomics_core import Usage
from tokenomics_core.tokens import count_tokens
from tokenomics_core.traffic import audit_traffic

COST = usd("gpt-4o", input=1_000, output=100)
RULES = "\n".join(
    f"- Rule {word}: speak plainly, keep to the facts of the case, and never promise what is not written."
    for word in (
        [
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
        ]
        * 8
    )
)
RULE_TOKENS = int(count_tokens("\n\n" + RULES + "\n", "gpt-4o"))


def stamped(at_s, stamp, tokens_in=RULE_TOKENS + 100, **given):
    system = f"It is {stamp}.\n\n{RULES}"
    return call(at_s, f"Question at {at_s}?", system=system, tokens_in=tokens_in, **given)


def tool(name, arguments):
    return [{"id": "x", "type": "function", "function": {"name": name, "arguments": arguments}}]


# --- unstable prefix


def test_rules_behind_a_time_are_read_in_full_where_a_cache_read_would_do():
    found = waste("unstable_prefix", [stamped(60.0 * n, f"2026-03-02T09:{n:02d}:00Z") for n in range(4)])
    saved = 3 * RULE_TOKENS * Decimal("1.25") / 1_000_000
    assert found.calls == 3
    assert float(found.usd) == pytest.approx(float(saved), rel=0.01)


def test_a_prefix_lives_five_minutes():
    at = [0.0, 5 * MINUTE, 10 * MINUTE + 0.001]
    found = waste("unstable_prefix", [stamped(at_s, f"09:{n:02d}:07") for n, at_s in enumerate(at)])
    assert found.calls == 1


def test_writing_a_prefix_costs_a_premium_where_the_provider_asks_one():
    anthropic = {"model": "claude-haiku-4-5", "provider": "anthropic", "tokens_in": 10_000}
    calls = [stamped(60.0 * n, f"2026-03-02T09:{n:02d}:00Z", **anthropic) for n in range(4)]
    found = waste("unstable_prefix", calls)
    tokens = int(count_tokens("\n\n" + RULES + "\n", "claude-haiku-4-5"))
    saved = (3 * tokens * Decimal("0.9") - tokens * Decimal("0.25")) / 1_000_000
    assert float(found.usd) == pytest.approx(float(saved), rel=0.01)
    assert waste("unstable_prefix", [stamped(n * DAY, f"day {n}", **anthropic) for n in range(4)]) is None


@pytest.mark.parametrize(
    "systems",
    [
        [f"Rule book, edition 12.\n\n{RULES}"] * 4,
        [f"{RULES}\n\nIt is 09:{n:02d}." for n in range(4)],
        [f"It is 09:{n:02d}.\n\n{RULES[:800]}" for n in range(4)],
    ],
    ids=["a number that never changes", "the time stands last", "too short to be cached"],
)
def test_a_prefix_that_can_be_cached_or_never_could_is_no_waste(systems):
    calls = [call(60.0 * n, f"Question {n}?", system=text, tokens_in=3_000) for n, text in enumerate(systems)]
    assert waste("unstable_prefix", calls) is None


def test_tokens_that_were_read_from_a_cache_are_not_saved_again():
    calls = [stamped(60.0 * n, f"09:{n:02d}:00", read=RULE_TOKENS + 100) for n in range(4)]
    assert waste("unstable_prefix", calls) is None


# --- oversized context

PASSAGES = [
    "Refunds of the shop reach the account of the customer within ten working days after a parcel came.",
    "Parcels that come back have to be packed well; the refund covers price and postage of the customer.",
    "Lichens colonise bare mountain granite, where fungal threads shelter green algae from harsh glare.",
]
LONG = [passage + " " + passage.replace("the", "each") for passage in PASSAGES]


def with_passages(*passages, asked="How long do refunds take?", **given):
    text = "Passages:\n\n" + "".join(f"[{n}] {text}\n\n" for n, text in enumerate(passages, 1))
    return call(0, f"{text}Question: {asked}", answer="Refunds take ten working days.", **given)


def test_a_passage_that_stands_in_the_prompt_twice_is_paid_for_once_too_often():
    found = waste("oversized_context", [with_passages(LONG[0], LONG[1], LONG[0])])
    assert found.usd == usd("gpt-4o", input=int(count_tokens(LONG[0], "gpt-4o")))


def test_a_passage_with_no_word_of_question_or_answer_was_not_needed():
    found = waste("oversized_context", [with_passages(*LONG)])
    assert found.usd == usd("gpt-4o", input=int(count_tokens(LONG[2], "gpt-4o")))


def test_passages_that_have_to_do_with_the_question_are_no_waste():
    assert waste("oversized_context", [with_passages(LONG[0], LONG[1])]) is None


def test_without_an_answer_nobody_knows_what_was_needed():
    record = with_passages(*LONG)
    assert waste("oversized_context", [call(0, messages=record.messages, answer=None)]) is None


def test_a_question_in_another_language_says_nothing_about_its_passages():
    record = with_passages(*LONG, asked="Wie lange dauert das?")
    spoken = call(0, messages=record.messages, answer="Zehn Tage.")
    assert waste("oversized_context", [spoken]) is None


# --- dear model


def asked_of(model, text, n=1, **given):
    return [call(60.0 * k, f"{text} ({k})", model=model, **given) for k in range(n)]


EASY = 'Fix the spelling of this line: "we recieved your mesage and will anser soon"'


def test_an_easy_question_costs_the_difference_to_the_cheap_model_of_the_log():
    found = waste("dear_model", [*asked_of("gpt-4o", EASY), *asked_of("gpt-4o-mini", "Hello", 3)])
    assert (found.calls, found.confidence) == (1, "low")
    assert found.usd == COST - usd("gpt-4o-mini", input=1_000, output=100)
    assert "gpt-4o → gpt-4o-mini" in found.why


def test_without_a_cheaper_model_in_the_log_none_is_made_up():
    other = asked_of("claude-haiku-4-5", "Hello", 3, provider="anthropic")
    assert waste("dear_model", [*asked_of("gpt-4o", EASY), *other]) is None


def test_the_caller_may_name_the_cheaper_model():
    found = waste("dear_model", asked_of("gpt-4o", EASY), cheaper={"gpt-4o": "gpt-4o-mini"})
    assert found.usd == COST - usd("gpt-4o-mini", input=1_000, output=100)


def test_a_hard_question_may_cost_more():
    hard = (
        "A bank lent money against a mortgage that was recorded late. Meanwhile a buyer bought the property "
        "with notice of the loan and resold a share of 16% to a buyer without notice. The defendant raises "
        "estoppel, the statute of frauds, and failure of consideration. In an action for breach, which party "
        "is likely to prevail, and under which theory?"
    )
    assert waste("dear_model", [*asked_of("gpt-4o", hard), *asked_of("gpt-4o-mini", "Hello", 3)]) is None


def test_how_hard_a_later_turn_is_nobody_can_tell_from_it_alone():
    turns = [("user", "Is the deed valid?"), ("assistant", "It depends."), ("user", EASY)]
    talk = call(0, messages=[{"role": role, "content": text} for role, text in turns])
    assert waste("dear_model", [talk, *asked_of("gpt-4o-mini", "Hello", 3)]) is None


# --- runaway runs


def steps(*calls, run="r1"):
    return [
        call(10.0 * n, f"step {n}", run=run, answer=None, tool_calls=tool(*one), finish_reason="tool_calls")
        for n, one in enumerate(calls)
    ]


def test_calls_after_the_third_equal_tool_call_of_a_run_are_waste():
    same = ("find", '{"a": 1, "b": 2}')
    found = waste("runaway_runs", steps(same, ("find", '{"a": 2}'), same, same, same, ("other", "{}")))
    assert (found.calls, found.usd) == (2, 2 * COST)


def test_arguments_are_the_same_in_any_order_and_spacing():
    found = waste(
        "runaway_runs",
        steps(("f", '{"a":1,"b":2}'), ("f", '{"b": 2, "a": 1}'), ("f", '{"a": 1.0, "b": 2}'), ("g", "{}")),
    )
    assert found is None or found.calls == 1


@pytest.mark.parametrize(
    "calls",
    [
        [call(10.0 * n, f"step {n}", answer=None, tool_calls=tool("find", "{}")) for n in range(6)],
        [
            call(10.0 * n, "x", run=f"run {n % 3}", answer=None, tool_calls=tool("find", "{}"))
            for n in range(6)
        ],
        [call(10.0 * n, f"Is item {n} broken?", run="r", answer="no") for n in range(6)],
    ],
    ids=["without a run", "twice in each run", "the same answer to different questions"],
)
def test_what_comes_twice_or_in_no_run_is_no_circle(calls):
    assert waste("runaway_runs", calls) is None


def test_the_same_answer_to_the_same_turn_is_a_circle_too():
    talk = [
        call(
            10.0 * n,
            messages=[{"role": "user", "content": "Go on."}] * (n + 1),
            run="r",
            answer="I am still looking.",
        )
        for n in range(5)
    ]
    assert waste("runaway_runs", talk).calls == 2


# --- retries


def test_a_failed_call_that_is_sent_again_within_a_minute_was_paid_for_in_vain():
    calls = [call(0, user="ada", outcome="aborted"), call(60, user="ada")]
    found = waste("retries", calls)
    assert (found.calls, found.usd) == (1, COST)
    assert waste("exact_repeats", calls) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"outcome": "aborted"}, {"at_s": 60.001}),
        ({"outcome": "ok"}, {}),
        ({"outcome": "error"}, {"user": "bob"}),
        ({"outcome": "error"}, {"text": "Something else?"}),
        ({"outcome": "error"}, {"system": "You are the help desk of a bank."}),
        ({"outcome": "error"}, {"project": "another"}),
        ({"outcome": "error", "usage": Usage()}, {}),
    ],
    ids=[
        "too late",
        "it had succeeded",
        "another user",
        "another question",
        "another prompt",
        "another project",
        "nothing was paid",
    ],
)
def test_what_was_not_paid_in_vain_or_not_repeated_is_no_retry(first, second):
    calls = [call(0, user="ada", **first), call(**{"at_s": 30, "user": "ada"} | second)]
    assert waste("retries", calls) is None


def test_a_minute_begins_when_the_failed_call_ended():
    calls = [call(0, user="ada", outcome="error", latency_s=120), call(175, user="ada")]
    assert waste("retries", calls).calls == 1


def test_an_answer_that_was_cut_is_asked_for_again_with_a_higher_limit():
    calls = [
        call(0, user="ada", finish_reason="length"),
        call(20, user="ada", settings={"temperature": 0, "max_tokens": 4_000}),
    ]
    assert waste("retries", calls).usd == COST


# --- unbounded outputs


def letters(*lengths, settings=None, feature="letters"):
    return [
        call(60.0 * n, f"Letter {n}?", tokens_out=tokens, feature=feature, settings=settings or {})
        for n, tokens in enumerate(lengths)
    ]


def test_what_lies_above_the_95th_percentile_of_an_answer_without_a_limit_is_waste():
    found = waste("unbounded_outputs", letters(*[100] * 40, 5_000))
    assert (found.calls, found.usd) == (1, usd("gpt-4o", output=4_900))


@pytest.mark.parametrize(
    "calls",
    [
        letters(*[100] * 40, 5_000, settings={"max_tokens": 8_000}),
        letters(*[100] * 40, 400),
        letters(*[100] * 18, 5_000),
        [*letters(*[100] * 40), *letters(*[5_000] * 40, feature="books")],
    ],
    ids=["it had a limit", "only four times the median", "too few to tell", "long answers are usual"],
)
def test_limits_habits_and_small_numbers_are_no_waste(calls):
    assert waste("unbounded_outputs", calls) is None


# --- batchable


def nights(days=3, calls=50, hour_s=7_200.0, spread_s=480.0, shift_s=0.0, **given):
    return [
        call(
            day * DAY + hour_s + shift_s * day + spread_s * n / calls,
            f"Ticket {day}-{n}",
            feature="labels",
            **given,
        )
        for day in range(days)
        for n in range(calls)
    ]


def test_bursts_at_the_same_time_of_day_could_wait_for_a_batch():
    found = waste("batchable", nights())
    assert found.calls == 150
    assert found.usd == 150 * (COST - usd("gpt-4o batch", input=1_000, output=100))


@pytest.mark.parametrize(
    "calls",
    [
        nights(days=2),
        nights(calls=49),
        nights(spread_s=700.0),
        nights(shift_s=31 * MINUTE),
        nights(conversation="talk"),
        nights(model="deepseek-chat", provider="deepseek"),
        nights(source="batch"),
        [call(90.0 * n, f"Question {n}?", feature="chat") for n in range(2_880)],
    ],
    ids=[
        *("two days", "49 calls", "not within ten minutes", "not at the same time", "in a conversation"),
        *("no batch price", "a batch already", "traffic all day"),
    ],
)
def test_what_is_no_burst_or_has_no_cheaper_batch_is_no_waste(calls):
    assert waste("batchable", calls) is None


def shown(text):
    example = [{"role": "user", "content": "Ticket: no heat"}, {"role": "assistant", "content": "repair"}]
    return [*example, {"role": "user", "content": text}]


def test_examples_that_every_call_shows_are_no_conversation():
    calls = nights()
    told = [
        call(at_s, messages=shown(str(n)), feature="labels")
        for n, at_s in enumerate((record.at - START).total_seconds() for record in calls)
    ]
    assert waste("batchable", told).calls == 150


def test_turns_that_only_one_call_has_are_a_conversation():
    talks = [
        call(at_s, messages=[{"role": "user", "content": f"Case {n}"}, *shown("go on")], feature="labels")
        for n, at_s in enumerate((record.at - START).total_seconds() for record in nights())
    ]
    assert waste("batchable", talks) is None


def test_a_job_may_start_a_quarter_of_an_hour_early_or_late():
    assert waste("batchable", nights(shift_s=15 * MINUTE)).calls == 150


# --- money


def test_a_month_has_thirty_days_at_the_pace_of_the_log():
    audit = audit_traffic([call(0), call(10 * DAY, "Another one?"), call(3 * DAY), call(4 * DAY)])
    found = audit.waste("exact_repeats")
    assert audit.span_days == 10
    assert found.usd_per_month == found.usd * 3
    assert audit.usd_per_month == audit.total_usd * 3


def test_a_log_of_an_hour_is_taken_for_a_day():
    assert audit_traffic([call(0), call(60)]).span_days == 1


def test_the_first_and_the_last_call_bound_the_log():
    audit = audit_traffic([call(60), call(0)])
    assert (audit.since, audit.until) == (START, START + timedelta(seconds=60))
