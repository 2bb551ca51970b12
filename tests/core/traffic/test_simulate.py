"""A replay tells what a log would have cost, who would have served each call, and what is not known."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenomics_core.config import Settings
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook
from tokenomics_core.traffic import TrafficRecord, simulate_traffic
from tokenomics_core.types import Attribution, Usage

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NANO, DEAR = "gpt-4.1-nano", "gpt-4.1"
PRICES = PriceBook()
EXACT = '[cache]\npolicy = "exact"\n'


def call(question="What is it?", *, after_s=0.0, answer="It is I, and nothing else at all.", **rest):
    told = {
        "at": START + timedelta(seconds=after_s),
        "model": NANO,
        "messages": [{"role": "user", "content": question}],
        "answer": answer,
        "usage": Usage(input_tokens=100, output_tokens=50),
        "finish_reason": "stop",
        "latency_s": 1.0,
    }
    return TrafficRecord(**{**told, **rest})


def replay(records, toml, **rest):
    return simulate_traffic(records, Settings.load(toml).plan(), **rest)


def cost(record):
    return PRICES.cost(record.usage, record.model, record.provider, record.at).total_usd


# -- against references

steps = st.lists(
    st.tuples(
        st.sampled_from(["Who came first?", "What is the capital?", "How many are there?"]),
        st.sampled_from([NANO, DEAR]),
        st.integers(0, 400),
        st.sampled_from(["ada", "bob"]),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(steps, st.sampled_from([60, 500, None]))
def test_an_exact_cache_serves_what_a_table_of_answers_would(steps, ttl_s):
    toml = EXACT + ("" if ttl_s is None else f"ttl_s = {ttl_s}\n")
    now, stored, expected, records = 0, {}, [], []
    for question, model, gap_s, user in steps:
        now += gap_s
        at = stored.get((question, model))
        is_hit = at is not None and (ttl_s is None or now < at + ttl_s)
        expected.append("exact" if is_hit else "model")
        if not is_hit:
            stored[question, model] = now
        records.append(call(question, after_s=now, model=model, attribution=Attribution(user=user)))
    result = replay(records, toml)
    assert [one.served for one in result.calls] == expected
    paid = [cost(one) for one, how in zip(records, expected, strict=True) if how == "model"]
    assert result.usd == sum(paid, Decimal(0))
    assert result.log_usd == sum(map(cost, records), Decimal(0))


@settings(max_examples=40)
@given(steps, st.integers(1, 6))
def test_a_limit_on_calls_refuses_what_a_counter_would(steps, most):
    toml = f'[[budgets.limits]]\nscope = "user"\ncalls = {most}\nwindow = "hour"\n'
    made, expected, records, now = Counter(), [], [], 0
    for question, model, gap_s, user in steps:
        now += gap_s
        key = user, (START + timedelta(seconds=now)).replace(minute=0, second=0)
        expected.append("refused" if made[key] >= most else "model")
        made[key] += expected[-1] == "model"
        records.append(call(question, after_s=now, model=model, attribution=Attribution(user=user)))
    result = replay(records, toml)
    assert [one.served for one in result.calls] == expected
    assert result.served["refused"] == sum(result.refused_by.values()) == expected.count("refused")


@settings(max_examples=40)
@given(steps)
def test_the_parts_of_what_is_saved_add_up_to_all_of_it(steps):
    toml = (
        EXACT
        + '[[budgets.limits]]\nscope = "user"\nusd = "0.0005"\n[compress]\nhistory_tokens = 9\n'
        + '[router]\nshare = 0.5\nclassifier = "heuristic"\n'
        + f'[[router.tiers]]\nname = "weak"\nmodel = "{NANO}"\n'
        + f'[[router.tiers]]\nname = "strong"\nmodel = "{DEAR}"\n'
    )
    records = [
        call(question, after_s=place, model=model, attribution=Attribution(user=user))
        for place, (question, model, _, user) in enumerate(steps)
    ]
    result = replay(records, toml)
    assert sum(result.saved_by.values(), Decimal(0)) == result.saved_usd
    assert sum(result.served.values()) == result.requests == len(records)
    assert result.usd == sum((one.usd for one in result.calls), Decimal(0))


def test_the_same_log_and_plan_give_the_same_result():
    records = [call(f"What is {number % 3}?", after_s=number) for number in range(20)]
    one, other = (replay(records, "[cache]\n").to_dict() for _ in range(2))
    assert one == other
    json.dumps(one, allow_nan=False)


def test_a_log_is_replayed_in_time_order_whatever_order_it_comes_in():
    records = [call("Who?", after_s=60, id="later"), call("Who?", after_s=0, id="earlier")]
    assert [(one.id, one.served) for one in replay(records, EXACT).calls] == [
        ("earlier", "model"),
        ("later", "exact"),
    ]


def test_a_log_that_is_in_order_may_be_read_once_and_not_be_held():
    records = (call("Who?", after_s=second) for second in range(5))
    result = replay(records, EXACT, is_sorted=True, keep_calls=False)
    assert (result.served["exact"], list(result.calls)) == (4, [])


def test_a_plan_serves_one_replay():
    plan = Settings.load(EXACT).plan()
    simulate_traffic([call()], plan)
    with pytest.raises(ConfigurationError, match="used for one replay"):
        simulate_traffic([call()], plan)


# -- what shares an answer


def test_calls_of_other_tenants_models_settings_and_turns_share_nothing():
    turn = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello to you."}]
    records = [
        call("Who?"),
        call("Who?", attribution=Attribution(tags={"tenant": "b"})),
        call("Who?", model=DEAR),
        call("Who?", settings={"temperature": 0.3}),
        call("Who?", tools=[{"type": "function", "function": {"name": "search", "parameters": {}}}]),
        call("Who?", messages=[*turn, {"role": "user", "content": "Who?"}]),
        call(
            "Who?", messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}]
        ),
    ]
    records = [replace(one, at=START + timedelta(seconds=at)) for at, one in enumerate(records)]
    assert replay(records, EXACT).served["exact"] == 0
    again = [replace(one, at=one.at + timedelta(hours=1)) for one in records]
    assert replay([*records, *again], EXACT).served["exact"] == len(records)


def test_how_a_request_is_sent_does_not_matter():
    sent = {"stream": True, "user": "u1", "metadata": {"a": "b"}, "prompt_cache_key": "k", "store": False}
    assert replay([call(), call(after_s=1, settings=sent)], EXACT).served["exact"] == 1


def loop(tool_id, after_s):
    asked = {"id": tool_id, "type": "function", "function": {"name": "search", "arguments": '{"q": "x"}'}}
    return call(
        after_s=after_s,
        messages=[
            {"role": "user", "content": "Search it."},
            {"role": "assistant", "content": None, "tool_calls": [asked]},
            {"role": "tool", "tool_call_id": tool_id, "content": "found"},
        ],
    )


def test_ids_of_tool_calls_which_are_new_each_time_do_not_keep_requests_apart():
    assert replay([loop("call_1", 0), loop("call_2", 5)], EXACT).served["exact"] == 1


def test_an_answer_that_calls_tools_is_never_served_by_meaning():
    calls = [{"id": "c", "type": "function", "function": {"name": "search", "arguments": "{}"}}]
    records = [call("Search it."), call("Search it.", after_s=1)]
    asking = [replace(one, answer=None, tool_calls=calls) for one in records]
    assert replay(asking, "[cache]\n").served["exact"] == 0  # a guard keeps tools' calls out
    unguarded = '[cache]\nguards = []\npolicy = "fixed"\nthreshold = 0.0\npair_guards = "none"\n'
    assert replay(asking, unguarded).served["exact"] == 1
    other = replace(asking[1], messages=[{"role": "user", "content": "Search it, please."}])
    assert replay([asking[0], other], unguarded).served["semantic"] == 0


# -- what may be wrong


ANY = '[cache]\npolicy = "fixed"\nthreshold = 0.0\npair_guards = "none"\n'


def test_answers_served_by_meaning_are_held_to_the_logs_own():
    records = [
        call("How do I reset my password?", answer="Open the settings."),
        call("How can I reset my password?", after_s=1, answer="Open the settings."),
        call("How must I reset my passport?", after_s=2, answer="Ask the embassy."),
    ]
    wrong = replay(records, ANY).wrong
    assert (wrong.semantic, wrong.compared, wrong.differing) == (2, 2, 1)
    assert wrong.differing_share.low < 0.5 < wrong.differing_share.high
    assert 0 < wrong.expected.value < 2
    assert wrong.promised_share is None


def test_what_the_model_itself_answers_now_so_now_so_is_told_apart():
    records = [call(answer="Four."), call(after_s=1, answer="Five.")]
    wrong = replay(records, EXACT).wrong
    assert (wrong.exact_compared, wrong.exact_differing, wrong.compared) == (1, 1, 0)


def test_the_policys_own_bound_is_in_the_result():
    records = [call(f"What is {number % 9}?", after_s=number) for number in range(60)]
    wrong = replay(records, "[cache]\nmax_error = 0.1\n").wrong
    assert (wrong.promised_share, wrong.confidence) == (0.1, 0.95)


# -- budgets


def test_what_a_call_asks_first_decides_whether_a_spent_budget_refuses_hits():
    toml = EXACT + '[[budgets.limits]]\nscope = "all"\ncalls = 1\n'
    records = [call(), call(after_s=1), call("Another?", after_s=2)]
    told = Settings.load(toml)
    cache_first = simulate_traffic(records, told.plan())
    assert [one.served for one in cache_first.calls] == ["model", "exact", "refused"]
    budget_first = simulate_traffic(records, told.plan(order="budget"))
    assert [one.served for one in budget_first.calls] == ["model", "refused", "refused"]
    with pytest.raises(ConfigurationError, match="order must be"):
        told.plan(order="chaos")


def test_a_hit_that_was_reserved_for_is_settled_at_zero():
    toml = EXACT + '[[budgets.limits]]\nscope = "all"\ncalls = 2\n'
    plan = Settings.load(toml).plan(order="budget")
    result = simulate_traffic([call(), call(after_s=1), call("Another?", after_s=2)], plan)
    assert [one.served for one in result.calls] == ["model", "exact", "model"]


def test_the_worst_case_is_reserved_and_what_was_taken_is_booked():
    limit = '[[budgets.limits]]\nscope = "all"\nusd = "0.0005"\nwindow = "day"\n'
    toml = f"[budgets]\nmax_output_tokens = 1000\n{limit}"
    records = [call(f"What is {number}?", after_s=number * 3600) for number in range(30)]
    result = replay(records, toml)
    paid = [one.at for one in result.calls if one.served == "model"]
    assert {at.date() for at in paid} == {START.date(), START.date() + timedelta(days=1)}
    first = [one for one in result.calls if one.at.date() == START.date() and one.served == "model"]
    # One call costs 0.00003 and is reserved at about 0.0004 as long as it runs.
    assert len(first) == 4
    assert result.alerts


def test_a_call_without_content_is_judged_by_its_counts():
    toml = '[cache]\n[[budgets.limits]]\nscope = "user"\ntokens = 5000\n'
    blind = [call(after_s=at, messages=None, attribution=Attribution(user="a")) for at in range(10)]
    result = replay(blind, toml)
    assert result.served["refused"] > 0
    assert result.served["exact"] == 0
    assert replay(blind, "[cache]\n").left == {"the log keeps no content": 10}


def test_a_model_without_a_price_is_refused_by_a_limit_in_money_as_in_production():
    record = call(model="nobody-knows-it")
    result = replay([record], '[[budgets.limits]]\nscope = "all"\nusd = "1"\n')
    assert result.refused_by == {"no price for 'nobody-knows-it'": 1}
    assert replay([record], "").unpriced_calls == 1
    assert replay([replace(record, cost_usd=Decimal("0.5"))], "").log_usd == Decimal("0.5")


# -- what is left as it was


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"source": "cache"}, "the log's own cache had answered it"),
        ({"source": "batch"}, "it was made in a batch"),
        ({"operation": "embedding"}, "it is no chat but 'embedding'"),
        ({"messages": None}, "the log keeps no content"),
    ],
)
def test_what_is_no_paid_chat_is_left_as_it_was(change, why):
    result = replay([call(**change), call(after_s=1, **change)], EXACT)
    assert result.left == {why: 2}
    assert result.usd == result.log_usd
    assert f"2 calls were left as they are: {why}" in result.unknowns


def test_a_call_that_failed_fails_again_and_leaves_nothing_in_the_cache():
    failed = call(outcome="error", answer=None, usage=Usage(), finish_reason=None)
    result = replay([failed, call(after_s=1), replace(failed, at=START + timedelta(seconds=2))], EXACT)
    assert [one.served for one in result.calls] == ["model", "model", "exact"]
    assert result.calls[0].usd == 0


@pytest.mark.parametrize("outcome", ["aborted", "cancelled", "error"])
def test_what_was_said_before_a_call_broke_off_is_not_served_again(outcome):
    broken = call(outcome=outcome, answer="It is", finish_reason=None)
    assert replay([broken, call(after_s=1)], EXACT).served["exact"] == 0


# -- routing

ROUTED = f"""
[router]
threshold = 1.0
classifier = "heuristic"
[[router.tiers]]
name = "weak"
model = "{NANO}"
[[router.tiers]]
name = "strong"
model = "{DEAR}"
"""


def test_a_call_that_goes_elsewhere_costs_what_the_log_knows_of_there():
    dear = call(model=DEAR, usage=Usage(input_tokens=100, output_tokens=50))
    told = Usage(input_tokens=101, output_tokens=9)
    cheap = call(model=f"{NANO}-2025-04-14", usage=told, answer="Short.", score=0.5, latency_s=0.2)
    result = replay([replace(dear, score=1.0)], ROUTED, answers=[cheap])
    (one,) = result.calls
    assert (one.model, one.usage, one.is_known) == (NANO, cheap.usage, True)
    assert result.usd == cost(cheap)
    assert result.saved_by["route"] == cost(dear) - cost(cheap)
    assert (result.routed_down, result.quality.score, result.quality.score_in_log) == (1, 0.5, 1.0)
    assert result.latency.total_s == 0.2


def test_a_call_of_which_the_log_knows_nothing_there_is_an_estimate_and_said_to_be_one():
    dear = call(model=DEAR)
    result = replay([dear], ROUTED)
    assert (result.estimated_calls, result.estimated_usd) == (1, result.usd)
    assert result.usd == cost(call())
    assert "the log holds no answer to that" in result.unknowns[0]
    assert not result.calls[0].is_known


def test_a_call_that_stays_with_its_model_is_known_under_any_spelling():
    record = call(model=f"{NANO}-2025-04-14")
    result = replay([record], ROUTED)
    assert (result.estimated_calls, result.usd) == (0, cost(record))
    assert result.calls[0].model == record.model


def test_a_dearer_route_costs_more_and_is_counted():
    result = replay([call()], ROUTED.replace("threshold = 1.0", "threshold = -1.0"))
    assert result.routed_up == 1
    assert result.saved_usd < 0
    assert result.saved_by["route"] == result.saved_usd


# -- latency


def test_an_answer_that_is_under_way_is_waited_for():
    records = [call(latency_s=2.0), call(after_s=0.5, latency_s=2.0), call(after_s=60, latency_s=2.0)]
    result = replay(records, EXACT)
    assert [one.latency_s for one in result.calls] == [2.0, 1.5, 0.0]
    assert (result.latency.total_s, result.latency.total_in_log_s) == (3.5, 6.0)
    assert (result.latency.median_s, result.latency.median_in_log_s) == (1.5, 2.0)


# -- what is shown


def test_the_interval_is_drawn_over_conversations():
    one_talk = Attribution(user="ada", conversation="talk")
    talks = [Attribution(user="ada", conversation=f"talk {at // 2}") for at in range(40)]
    alone = [call("Who?", after_s=at) for at in range(40)]
    paired = [replace(one, attribution=who) for one, who in zip(alone, talks, strict=True)]
    assert replay(paired, EXACT).clusters == 20
    together = [replace(one, attribution=one_talk) for one in alone]
    apart, joined = replay(alone, EXACT), replay(together, EXACT)
    assert (apart.clusters, joined.clusters) == (40, 1)
    assert apart.difference.low < apart.difference.value == pytest.approx(float(apart.saved_usd))
    assert joined.difference.low == joined.difference.high


def test_it_is_shown_as_text_and_as_html():
    result = replay([call(), call(after_s=1)], EXACT + '[[budgets.limits]]\nscope = "all"\nusd = "0.01"\n')
    assert "cache, same words" in str(result)
    assert "<table>" in result._repr_html_()
    assert "2 requests" in repr(result)
    assert "nothing" not in str(replay([], ""))


def test_each_call_is_told_as_it_is_replayed():
    heard = []
    replay([call(), call(after_s=1)], EXACT, on_call=heard.append)
    assert [one.served for one in heard] == ["model", "exact"]
