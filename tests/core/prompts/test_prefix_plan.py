"""A prefix is cached where the observed gaps make it pay, and the plan's dollars are the bill's dollars."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook
from tokenomics_core.prompts import (
    GrowingPrefixPlanner,
    PrefixPlanner,
    break_even_uses,
    find_rule,
    plan_prefix_cache,
)
from tokenomics_core.types import Usage

MODEL = "claude-sonnet-4-5"
GAPS = st.lists(st.floats(0, 10_000, allow_nan=False), max_size=30)


@given(gaps=GAPS, tokens=st.integers(1024, 50_000))
def test_each_option_costs_what_the_price_book_bills_for_it(gaps, tokens):
    plan = plan_prefix_cache(MODEL, tokens, gaps)
    book = PriceBook()
    for option in plan.options:
        total = Decimal(0)
        for gap in [None, *gaps]:
            ttl = {"5m": 300, "1h": 3600}.get(option.name)
            if ttl is None:
                usage = Usage(input_tokens=tokens, output_tokens=0)
            elif gap is not None and gap <= ttl:
                usage = Usage(input_tokens=tokens, cache_read_tokens=tokens, output_tokens=0)
            else:
                hour = tokens if option.name == "1h" else 0
                usage = Usage(
                    input_tokens=tokens,
                    cache_write_tokens=tokens,
                    cache_write_1h_tokens=hour,
                    output_tokens=0,
                )
            total += book.cost(usage, MODEL).total_usd
        assert option.usd == total
    assert plan.choice == plan.options[0].name
    assert plan.saved_usd >= 0


@pytest.mark.parametrize(
    ("write", "read", "uses"),
    [
        ("1.25", "0.1", 2),
        ("2", "0.1", 3),
        ("1.25", "0.05", 2),
        ("2", "0.05", 3),
        ("1", "0.5", 2),
        ("1.25", "1", None),
    ],
)
def test_break_even_is_the_first_use_that_is_cheaper(write, read, uses):
    found = break_even_uses(Decimal(write), Decimal(read))
    assert found == uses
    if found is not None:
        assert Decimal(write) + (found - 1) * Decimal(read) < found
        assert found == 1 or Decimal(write) + (found - 2) * Decimal(read) >= found - 1


@pytest.mark.parametrize(
    ("gaps", "choice"),
    [([10] * 20, "5m"), ([1800] * 20, "1h"), ([9000] * 20, "none"), ([], "none"), ([10, 1500] * 20, "1h")],
)
def test_the_lifetime_follows_the_gaps(gaps, choice):
    assert plan_prefix_cache(MODEL, 5000, gaps).choice == choice


def test_below_the_minimum_nothing_is_cached_and_the_plan_says_why():
    plan = plan_prefix_cache(MODEL, 1000, [10] * 50)
    assert plan.choice == "none"
    assert "below the 1024" in plan.reason
    assert plan_prefix_cache("claude-haiku-4-5", 4000, [10] * 50).choice == "none"


def test_a_provider_that_caches_unasked_is_not_asked():
    plan = plan_prefix_cache("gpt-4o", 5000, [10] * 9)
    assert plan.choice == "automatic"
    assert plan.saved_usd == Decimal(5000 * 9) * (Decimal("2.5") - Decimal("1.25")) / 1_000_000


def test_an_unknown_provider_is_left_alone():
    prices = PriceBook(overrides={"my-model": {"input": "1", "output": "2"}})
    plan = plan_prefix_cache("my-model", 5000, [10] * 9, prices=prices)
    assert plan.choice == "none"
    assert "nothing is known" in plan.reason


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((MODEL, -1, []), "prefix_tokens must be 0 or more, not -1"),
        ((MODEL, 5000, [-1]), "a gap must be seconds of 0 or more, not -1"),
        ((MODEL, 5000, [float("nan")]), "not nan"),
        (("no-such-model", 5000, []), "no input price is known for 'no-such-model'"),
    ],
)
def test_what_cannot_be_planned_is_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        plan_prefix_cache(*arguments)


@given(
    uses=st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 8000, allow_nan=False)), min_size=1, max_size=60
    ),
    tokens=st.integers(1, 20_000),
)
def test_the_planner_pays_exactly_for_what_it_chose(uses, tokens):
    planner, now = PrefixPlanner(find_rule(MODEL, None)), 0.0
    alive: dict[str, float] = {}
    spent = reads = 0
    for prefix, gap in uses:
        now += gap
        choice = planner.choose(prefix, tokens, now)
        if now <= alive.get(prefix, -1):
            spent, reads = spent + 0.1 * tokens, reads + 1
        else:
            spent += tokens * {"none": 1, "5m": 1.25, "1h": 2}[choice]
            alive.pop(prefix, None)
        if choice != "none":
            alive[prefix] = now + {"5m": 300, "1h": 3600}[choice]
        if tokens < 1024:
            assert choice == "none"
    stats = planner.stats()
    assert stats.uses == len(uses)
    assert stats.reads == reads
    assert stats.spent == pytest.approx(spent)
    assert stats.saved == pytest.approx(len(uses) * tokens - spent)


def test_the_planner_learns_that_most_prefixes_come_once():
    planner = PrefixPlanner(find_rule(MODEL, None))
    choices = [planner.choose(f"once {index}", 5000, index * 10_000.0) for index in range(50)]
    for index in range(50):  # each comes back after hours: no lifetime reaches so far
        planner.choose(f"once {index}", 5000, 600_000.0 + index * 10_000.0)
    assert planner.choose("another", 5000, 2_000_000.0) == "none"
    assert planner.expected()["none"] == 1
    assert set(choices) <= {"none", "5m", "1h"}


def test_the_planner_forgets_the_longest_unused():
    planner = PrefixPlanner(find_rule(MODEL, None), most_prefixes=2)
    for prefix in "abcd":
        planner.choose(prefix, 5000, 0.0)
    assert len(planner) == 2


def test_the_planner_learns_from_prefixes_that_never_come_back():
    planner = PrefixPlanner(find_rule(MODEL, None))
    for index in range(60):  # a second use every minute would have been seen within the hour
        planner.choose(f"once {index}", 5000, index * 60.0)
    assert planner.choose("another", 5000, 3 * 3600.0) == "none"
    assert planner.expected()["none"] < planner.expected()["1h"]


def test_a_prefix_that_comes_back_late_is_learned_from_once():
    planner = PrefixPlanner(find_rule(MODEL, None))
    planner.choose("late", 5000, 0.0)
    planner.choose("other", 5000, 10_000.0)
    before = planner.expected()
    planner.choose("late", 5000, 10_000.0)
    assert planner.expected() == before


def test_at_the_beginning_of_the_clock_nothing_is_cached_yet():
    for planner in (PrefixPlanner(find_rule(MODEL, None)), GrowingPrefixPlanner(find_rule(MODEL, None))):
        assert planner.choose("short", 10, 0.0) == "none"
    planner = PrefixPlanner(find_rule(MODEL, None))
    planner.choose("short", 10, 0.0)
    planner.choose("short", 10, 0.0)
    assert planner.stats().reads == 0


def test_a_growing_conversation_is_given_the_lifetime_of_its_gaps():
    quick, slow = (GrowingPrefixPlanner(find_rule(MODEL, None)) for _ in range(2))
    for call in range(12):
        of_quick = quick.choose("quick", 5_000 + 500 * call, call * 40.0)
        of_slow = slow.choose("slow", 5_000 + 500 * call, call * 1_800.0)
    assert (of_quick, of_slow) == ("5m", "1h")
