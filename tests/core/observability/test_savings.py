"""What was saved adds up, part by part, and is held against what was left alone."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.observability.records import hit, spend
from tokenomics_core import Attribution, BudgetExceededError, ConfigurationError, Usage
from tokenomics_core.ledger import MemoryLedger, SQLiteLedger
from tokenomics_core.observability import CallEnd, CallStart, CallTracker
from tokenomics_core.observability._savings_measured import _unskewed, student_quantile
from tokenomics_core.observability.savings import CombinedSaving, HoldOut, parts_of_record, savings
from tokenomics_core.pricing import PriceBook

usd = st.decimals(min_value=-5, max_value=100, places=14)
paid = st.decimals(min_value=0, max_value=100, places=14)
mechanisms = ("cache", "route", "compress", "prompt_cache", "batch")


@st.composite
def lines(draw):
    names = draw(st.lists(st.sampled_from(mechanisms), max_size=3, unique=True))
    told = draw(st.dictionaries(st.sampled_from(mechanisms), usd | st.just("no amount"), max_size=3))
    tags = {f"avoided_{name}_usd": str(amount) for name, amount in told.items()}
    if draw(st.booleans()):
        tags["route_reasons"] = "the budget allows nothing above weak"
    return replace(
        spend(
            cost=draw(st.none() | paid.map(str)),
            avoided_usd=draw(st.none() | usd) if names else None,
            avoided_by="+".join(names) or None,
            operation=draw(st.sampled_from(["chat", "correction"])),
        ),
        attribution=Attribution(user=draw(st.sampled_from("abc")), tags=tags),
        id=draw(st.uuids()).hex,
    )


def exact_sum(amounts):
    with localcontext(Context(prec=200)):
        return sum(amounts, Decimal(0))


@given(some=st.lists(lines(), max_size=15))
def test_the_parts_add_up_exactly_to_the_difference(some):
    saved = savings(some, hold_out=HoldOut(share=0.5, by=("user",)))
    assert saved.spent_usd == exact_sum(one.cost_usd for one in some if one.cost_usd is not None)
    assert exact_sum(saved.parts.values()) == exact_sum(
        one.avoided_usd for one in some if one.avoided_usd is not None
    )
    assert exact_sum([saved.counterfactual_usd, -saved.spent_usd]) == exact_sum(saved.parts.values())


@given(one=lines())
def test_the_parts_of_a_record_add_up_exactly(one):
    assert exact_sum(parts_of_record(one).values()) == (one.avoided_usd or 0)


@given(some=st.lists(lines(), max_size=8, unique_by=lambda one: one.id))
def test_a_ledger_and_its_records_say_the_same(some):
    ledger = MemoryLedger()
    for one in some:
        ledger.record(one)
    assert savings(ledger) == savings(ledger.records())
    assert savings(ledger).avoided_usd == ledger.totals().avoided_usd


# -- who saved what


def tracked(saving, tmp_path, cost_usage=None):
    """Return the record of a call as a ledger on disk gives it back."""
    usage = cost_usage or Usage(input_tokens=1_000, output_tokens=100)
    ledger = SQLiteLedger(tmp_path / "ledger.db")
    tracker = CallTracker(ledger.record, prices=PriceBook())
    tracker.start(CallStart(key="k", model="gpt-4o", saving=saving, avoided_by=saving.name))
    tracker.finish("k", CallEnd(usage=usage))
    (record,) = ledger.records()
    ledger.close()
    return record


def test_a_call_that_was_routed_and_compressed_tells_what_each_saved(tmp_path):
    ways = [("route", lambda *_: Decimal("0.0030000000000004")), ("compress", lambda *_: Decimal("0.001"))]
    record = tracked(CombinedSaving(ways), tmp_path)
    assert record.avoided_by == "route+compress"
    assert parts_of_record(record) == {"route": Decimal("0.003"), "compress": Decimal("0.001")}


def test_a_mechanism_that_does_not_know_leaves_all_to_the_other(tmp_path):
    ways = [("route", lambda *_: None), ("prompt_cache", lambda *_: Decimal("-0.002"))]
    record = tracked(CombinedSaving(ways), tmp_path)
    assert parts_of_record(record) == {"route": Decimal(0), "prompt_cache": Decimal("-0.002")}
    assert savings([record]).calls_by_part == {"route": 0, "prompt_cache": 1}


def test_what_nobody_knows_is_unknown_and_not_nothing(tmp_path):
    record = tracked(CombinedSaving([("route", lambda *_: None), ("compress", lambda *_: None)]), tmp_path)
    assert record.avoided_usd is None
    assert savings([record]).unknown_calls == 1


def test_after_a_user_was_forgotten_the_parts_stand_together(tmp_path):
    ledger = MemoryLedger()
    tags = {"avoided_route_usd": "0.01", "avoided_compress_usd": "0.02"}
    ledger.record(spend(user="ada", tags=tags, avoided_usd=Decimal("0.03"), avoided_by="route+compress"))
    assert savings(ledger).parts == {"route": Decimal("0.01"), "compress": Decimal("0.02")}
    ledger.forget(user="ada")
    assert savings(ledger).parts == {"route+compress": Decimal("0.03")}


def test_a_route_that_a_budget_lowered_is_the_budgets():
    tags = {"route_reasons": "the budget allows nothing above weak; first of its kind"}
    record = spend(tags=tags, avoided_usd=Decimal("0.03"), avoided_by="route")
    assert savings([record]).parts == {"budget": Decimal("0.03")}


def test_a_refusal_is_shown_apart_and_in_no_sum():
    errors = [
        BudgetExceededError("user", "ada", "day", "usd", Decimal(1), Decimal(1), Decimal("0.25")),
        BudgetExceededError("user", "ada", "day", "calls", 10, 10, 1),
    ]
    saved = savings([spend()], refused=errors)
    assert (saved.refused.calls, saved.refused.worst_case_usd, saved.refused.unpriced_calls) == (
        2,
        Decimal("0.25"),
        1,
    )
    assert saved.avoided_usd == 0
    assert "no saving, as nobody got an answer" in str(saved)


def test_it_can_be_seen_and_read():
    saved = savings([spend(), hit(), spend(cost=None)])
    assert "cache" in str(saved)
    assert saved.to_dict()["parts"] == {"cache": {"usd": "0.02", "calls": 1}}
    assert "1 calls have no known cost" in saved._repr_html_()


# -- what the hold-out says


def conversations(count, *, seed, saved_share, lie=Decimal(0), share=0.3):
    """Return calls of conversations of uneven length and cost; those not left alone cost a share less."""
    rng = random.Random(seed)
    held = HoldOut(share=share)
    for number in range(count):
        name, usual = f"{seed}-{number}", 0.01 * rng.lognormvariate(0, 0.8)
        for _ in range(rng.randint(1, 8)):
            whole = Decimal(repr(round(usual * rng.lognormvariate(0, 0.4), 9)))
            is_alone = held.left_alone(name)
            avoided = Decimal(0) if is_alone else (whole * saved_share).quantize(Decimal("1e-9"))
            record = spend(
                cost=str(whole - avoided),
                avoided_usd=None if is_alone else avoided + lie,
                avoided_by=None if is_alone else "route",
            )
            yield replace(record, attribution=Attribution(conversation=name))


def test_the_measured_interval_holds_the_truth_as_often_as_it_says():
    covered, truth = 0, Decimal("0.4")
    for seed in range(60):
        some = list(conversations(150, seed=seed, saved_share=truth))
        measured = savings(some, hold_out=HoldOut(share=0.3), confidence=0.9).measured
        booked = measured.booked_per_call_usd  # what is booked is the truth here but for chance between arms
        covered += measured.low_usd <= booked <= measured.high_usd
    assert covered >= 48  # 54 expected; fewer than 48 has a chance of 1%


def test_a_booking_that_claims_too_much_is_found_out():
    some = conversations(600, seed=1, saved_share=Decimal("0.4"), lie=Decimal("0.02"))
    measured = savings(some, hold_out=HoldOut(share=0.3)).measured
    assert measured.agrees is False
    assert "does not agree" in str(measured)


def test_saving_nothing_is_measured_as_nothing():
    measured = savings(
        conversations(400, seed=2, saved_share=Decimal(0)), hold_out=HoldOut(share=0.3)
    ).measured
    assert measured.low_usd < 0 < measured.high_usd
    assert measured.total_usd == measured.per_call_usd * measured.treated_calls


def test_too_few_conversations_have_no_interval():
    measured = savings(
        conversations(12, seed=1, saved_share=Decimal(0)), hold_out=HoldOut(share=0.3)
    ).measured
    assert measured.per_call_usd is not None
    assert measured.low_usd is None
    assert measured.agrees is None


def test_nobody_left_alone_measures_nothing():
    measured = savings([spend(user="ada")], hold_out=HoldOut(share=0)).measured
    assert measured.per_call_usd is None
    assert "nothing can be measured" in str(measured)


def test_calls_of_nobody_and_calls_that_were_not_left_alone_are_counted():
    saved = savings([spend(), hit(user="ada")], hold_out=HoldOut(share=1))
    assert (saved.measured.unkeyed_calls, saved.measured.touched_calls) == (1, 1)
    assert "were not: give the same hold-out" in str(saved)


@pytest.mark.parametrize(("free", "quantile"), [(1, 12.7062), (5, 2.5706), (30, 2.0423), (1e7, 1.95996)])
def test_students_quantiles_are_those_of_the_tables(free, quantile):
    assert student_quantile(0.975, free) == pytest.approx(quantile, abs=1e-4)


@pytest.mark.parametrize("skew", [-0.8, -0.1, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("value", [-2.5, -1.0, 0.0, 2.0])
def test_unskewing_undoes_halls_transformation(skew, value):
    off, part = _unskewed(value, skew), skew / 3
    assert off + part * off**2 + part**2 * off**3 / 3 + part / 2 == pytest.approx(value)


# -- refusals


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigurationError, match="confidence must be between 0 and 1, not 1"):
        savings([], confidence=1)
    with pytest.raises(ConfigurationError, match="records cannot be filtered here"):
        savings([], since=datetime(2026, 1, 1, tzinfo=UTC))
