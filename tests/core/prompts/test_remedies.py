"""Stable tools, shared blocks, fitted output lengths and compared variants keep what they promise."""

import random
from decimal import Decimal
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.prompts import (
    BlockOrder,
    Trial,
    arun_variants,
    compare_variants,
    fit_output_length,
    run_variants,
    stable_tools,
)

SCHEMAS = st.dictionaries(
    st.sampled_from(["description", "input_schema", "strict"]),
    st.text() | st.dictionaries(st.text(), st.integers()),
)


@given(
    st.lists(st.tuples(st.text(min_size=1), SCHEMAS), unique_by=lambda pair: pair[0]),
    st.randoms(use_true_random=False),
)
def test_equal_tools_are_equal_bytes_in_whatever_order_they_come(pairs, chance):
    tools = [{"name": name, **schema} for name, schema in pairs]
    mixed = [dict(chance.sample(list(tool.items()), len(tool))) for tool in chance.sample(tools, len(tools))]
    assert repr(stable_tools(tools)) == repr(stable_tools(mixed))
    assert sorted(map(repr, map(_sorted, stable_tools(tools)))) == sorted(map(repr, map(_sorted, tools)))


def _sorted(value):
    return sorted((key, _sorted(inner)) for key, inner in value.items()) if isinstance(value, dict) else value


def test_tools_without_a_name_are_refused():
    with pytest.raises(ConfigurationError, match="needs a name"):
        stable_tools([{"description": "x"}])
    with pytest.raises(ConfigurationError, match="must be a mapping"):
        stable_tools(["x"])


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=20))
def test_arranging_loses_no_block_and_keeps_one_order_for_known_ones(requests):
    order = BlockOrder()
    seen: list[str] = []
    fixed: dict[frozenset[str], list[str]] = {}
    for blocks in requests:
        arranged = order.arrange(blocks)
        assert sorted(arranged) == sorted(blocks)
        known = [block for block in arranged if seen.count(block) > 1]
        assert arranged[: len(known)] == known
        for at, first in enumerate(known):
            for second in known[at + 1 :]:
                assert fixed.setdefault(frozenset((first, second)), [first, second]) == [first, second]
        seen += blocks


def test_blocks_that_come_often_share_a_longer_prefix():
    chance = random.Random(2)
    order, plain, arranged = BlockOrder(), 0, 0
    last_plain: list[str] = []
    last: list[str] = []
    for _ in range(300):
        hits = ["terms", "prices", f"rare {chance.randrange(10_000)}"]
        chance.shuffle(hits)
        now = order.arrange(hits)
        plain += _shared(last_plain, hits)
        arranged += _shared(last, now)
        last_plain, last = hits, now
    assert arranged > 590
    assert plain < 300


def _shared(one, other):
    both = 0
    while both < min(len(one), len(other)) and one[both] == other[both]:
        both += 1
    return both


@given(st.integers(59, 400), st.integers(0, 10_000))
def test_the_output_limit_is_an_observed_length_that_covers_its_share(count, seed):
    chance = random.Random(seed)
    lengths = [int(chance.lognormvariate(4, 1)) for _ in range(count)]
    limit = fit_output_length(lengths, coverage=0.95)
    assert limit.max_tokens in lengths
    assert sum(length <= limit.max_tokens for length in lengths) >= ceil(0.95 * count)


def test_the_output_limit_holds_its_confidence():
    held = 0
    for seed in range(300):
        chance = random.Random(seed)
        limit = fit_output_length([chance.randrange(100_000) for _ in range(150)], coverage=0.95)
        held += limit.max_tokens + 1 >= 0.95 * 100_000
    assert held / 300 > 0.92  # stated is 0.95; three deviations below are 0.91


def test_too_few_answers_give_no_limit():
    limit = fit_output_length([100] * 58, coverage=0.95)
    assert limit.max_tokens is None
    assert limit.needed == 59
    assert fit_output_length([], coverage=0.95).instruction == ""


@pytest.mark.parametrize(
    ("lengths", "coverage"), [([-1], 0.9), ([True], 0.9), ([1.5], 0.9), ([1], 1.0), ([1], 0)]
)
def test_lengths_and_shares_that_cannot_be_are_refused(lengths, coverage):
    with pytest.raises(ConfigurationError, match="nothing was fitted"):
        fit_output_length(lengths, coverage=coverage)


def _trials(quality, usd, cases=400, seed=1):
    chance = random.Random(seed)
    return [Trial(quality=float(chance.random() < quality), usd=Decimal(usd)) for _ in range(cases)]


def test_a_cheaper_variant_that_is_as_good_is_recommended():
    long = _trials(0.9, "0.02")
    report = compare_variants(
        {"long": long, "short": [Trial(quality=each.quality, usd=Decimal("0.01")) for each in long]}, "long"
    )
    assert report.recommended == "short"
    assert "50% less" in report.reason
    assert "short" in str(report)
    assert "<table" in report._repr_html_()


def test_a_cheaper_variant_that_is_worse_is_not():
    report = compare_variants({"long": _trials(0.9, "0.02"), "short": _trials(0.8, "0.01")}, "long")
    assert report.recommended == "long"
    assert not report.results[1].as_good


def test_a_variant_that_is_not_shown_to_be_as_good_is_not_recommended():
    # On 40 noisy cases nobody can tell a loss of two points from none.
    report = compare_variants(
        {"long": _trials(0.8, "0.02", 40, seed=2), "short": _trials(0.8, "0.01", 40, seed=3)}, "long"
    )
    assert report.recommended == "long"


def test_few_cases_recommend_nothing():
    trials = [Trial(quality=1.0, usd=Decimal("0.02"))] * 10
    report = compare_variants({"a": trials, "b": [Trial(quality=1.0, usd=Decimal("0.01"))] * 10}, "a")
    assert report.recommended == "a"
    assert "too few" in report.reason


async def test_running_async_compares_the_same():
    cases = list(range(40))

    def ask(case):
        return Trial(quality=float(case % 7 != 0), usd=Decimal("0.02"))

    async def aask(case):
        return ask(case)

    assert await arun_variants({"a": aask}, cases, "a") == run_variants({"a": ask}, cases, "a")


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        ({"b": [Trial(quality=1, usd=Decimal(0))]}, "baseline 'a' is none of b"),
        ({"a": [], "b": []}, "same cases"),
        ({"a": [Trial(quality=1, usd=Decimal(0))], "b": []}, "same cases"),
        ({"a": [Trial(quality=2, usd=Decimal(0))]}, r"must lie in \[0, 1\]"),
    ],
)
def test_trials_that_cannot_be_compared_are_refused(trials, message):
    with pytest.raises(ConfigurationError, match=message):
        compare_variants(trials, "a")
