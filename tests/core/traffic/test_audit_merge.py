"""An audit adds up, counts what nobody knows, and is the same however its calls were parted."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.traffic.audit_samples import DAY, HOUR, call
from tests.prices_by_hand import usd
from tokenomics_core import ConfigurationError, Usage
from tokenomics_core.pricing import PriceBook
from tokenomics_core.traffic import (
    Audit,
    AuditPart,
    WastePlan,
    audit_partition,
    audit_traffic,
    generate_traffic,
    merge_parts,
)

COST = usd("gpt-4o", input=1_000, output=100)


@pytest.fixture(scope="module")
def traffic():
    """Some hours with every waste but nights, which need more calls."""
    plan = WastePlan(**{**WastePlan.all().shares(), "batchable": 0.0, "unbounded_outputs": 0.004})
    return list(generate_traffic(700, seed=5, waste=plan, days=3))


@pytest.fixture(scope="module")
def whole(traffic):
    return merge_parts([audit_partition(traffic)])


@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_any_parting_of_the_calls_gives_the_same_audit(traffic, whole, data):
    shuffled = data.draw(st.permutations(range(len(traffic))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(traffic)), max_size=4)))
    pieces = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(traffic)], strict=True)]
    audit = merge_parts([audit_partition([traffic[place] for place in piece]) for piece in pieces])
    assert audit == whole


def test_every_grouping_adds_up_to_the_total(whole, traffic):
    paid = [record for record in traffic if record.source != "cache"]
    assert {finding.kind for finding in whole.wastes} >= {"exact_repeats", "near_repeats", "runaway_runs"}
    for dimension in ("model", "feature", "user", "template", "hour", "day"):
        lines = whole.by(dimension)
        assert sum(line.usd for line in lines) == whole.total_usd, dimension
        assert sum(line.calls for line in lines) == whole.paid_calls == len(paid)
        assert sum(line.avoidable_usd for line in lines) == whole.avoidable_usd
        assert sum(line.unpriced_calls for line in lines) == whole.unpriced_calls
        assert sum(line.share for line in lines) == pytest.approx(1)
        assert [line.usd for line in lines if not line.rest] == sorted(
            (line.usd for line in lines if not line.rest), reverse=True
        )


def test_the_total_is_that_of_the_price_book(whole, traffic):
    book = PriceBook()
    costs = [book.cost(r.usage, r.model, r.provider, r.at).total_usd for r in traffic if r.source == "model"]
    batches = [r.cost_usd for r in traffic if r.source == "batch"]
    assert whole.total_usd == sum(cost for cost in costs + batches if cost is not None)
    assert whole.unpriced_calls == sum(cost is None for cost in costs)


def test_wastes_are_ranked_and_overlaps_are_counted_once(whole):
    amounts = [finding.usd for finding in whole.wastes]
    assert amounts == sorted(amounts, reverse=True)
    assert max(amounts) <= whole.avoidable_usd <= sum(amounts)
    assert 0 < whole.avoidable_usd < whole.total_usd


def test_a_call_wasted_in_two_ways_costs_no_more_than_it_did():
    dear = {"text": 'Fix the spelling: "we recieved your mesage"', "feature": "edits"}
    calls = [call(0, **dear), call(60, **dear), call(120, **dear), call(30, "Hi", model="gpt-4o-mini")]
    audit = audit_traffic(calls)
    difference = COST - usd("gpt-4o-mini", input=1_000, output=100)
    assert audit.waste("exact_repeats").usd == 2 * COST
    assert audit.waste("dear_model").usd == 3 * difference
    assert audit.avoidable_usd == 2 * COST + difference


def test_two_partial_savings_take_their_shares_of_what_is_left():
    """Half of the price by a batch and a part of the prompt less: not more than one after the other."""
    passage = "Parcels that come back have to be packed well; refunds cover price and postage. " * 6
    text = f"Passages:\n\n[1] {passage}\n\n[2] {passage}\n\nQuestion: ticket"
    calls = [
        call(day * DAY + n, text=f"{text} {day}-{n}?", feature="night") for day in range(3) for n in range(50)
    ]
    audit = audit_traffic(calls)
    batch, context = audit.waste("batchable").usd, audit.waste("oversized_context").usd
    assert batch == 75 * COST
    together = audit.total_usd * (1 - (1 - batch / audit.total_usd) * (1 - context / audit.total_usd))
    assert float(audit.avoidable_usd) == pytest.approx(float(together))


def test_a_price_nobody_knows_is_counted_and_never_zero():
    calls = [call(0), call(1, model="nobody-knows", provider=None), call(2, usage=Usage())]
    audit = audit_traffic(calls)
    assert (audit.total_usd, audit.paid_calls, audit.unpriced_calls) == (COST, 3, 2)
    assert audit.unpriced_models == {"gpt-4o": 1, "nobody-knows": 1}
    by_model = {line.key: (line.usd, line.calls, line.unpriced_calls) for line in audit.by("model")}
    assert by_model == {"gpt-4o": (COST, 2, 1), "nobody-knows": (Decimal(0), 1, 1)}


def test_the_logs_own_cost_stands_where_the_price_book_knows_none():
    own = {"model": "nobody-knows", "provider": None, "cost_usd": Decimal("0.25")}
    audit = audit_traffic([call(0, **own), call(60, **own), call(5, "Hi", cost_usd=Decimal(9))])
    assert audit.total_usd == Decimal("0.50") + COST
    assert audit.waste("exact_repeats").usd == Decimal("0.25")
    assert any("9.00" in note for note in audit.notes)


def test_counts_that_contradict_each_other_have_no_price():
    broken = Usage(input_tokens=10, cache_read_tokens=20, output_tokens=1)
    audit = audit_traffic([call(0, usage=broken)])
    assert (audit.unpriced_calls, audit.total_usd) == (1, 0)


def test_sums_of_great_amounts_stay_exact():
    dear = {"model": "nobody-knows", "provider": None, "messages": ()}
    calls = [call(n, cost_usd=Decimal("999999.000000000001"), **dear) for n in range(20)]
    assert audit_traffic(calls).total_usd == Decimal("19999980.000000000020")


def test_answers_from_a_cache_cost_nothing_and_are_told_apart():
    audit = audit_traffic([call(0), call(1, source="cache", cost_usd=Decimal(5))])
    assert (audit.rows, audit.paid_calls, audit.cached_calls, audit.total_usd) == (2, 1, 1, COST)
    assert sum(line.calls for line in audit.by("model")) == 1


def test_a_call_that_stands_in_two_files_counts_once():
    calls = [call(0, id="a"), call(0, id="a"), call(60, id="b")]
    audit = audit_traffic(calls)
    assert (audit.rows, audit.total_usd) == (2, 2 * COST)
    assert audit.waste("exact_repeats").calls == 1
    assert "1 calls stood in the log again" in audit.notes[0]


def test_an_empty_log_has_an_empty_audit():
    audit = audit_traffic([])
    assert (audit.rows, audit.total_usd, audit.wastes, audit.by("model")) == (0, 0, (), ())
    assert audit.since is None


def test_templates_are_the_instructions_without_what_changes():
    calls = [call(n, f"Question {n}?", system=f"Today is 2026-03-{n:02d}. Be brief.") for n in range(1, 7)]
    calls += [call(n, f"Summarise this letter for the file please: text {n}", system="") for n in range(8)]
    audit = audit_traffic(calls)
    assert sorted((line.calls, line.label) for line in audit.by("template")) == [
        (6, "Today is # Be brief."),
        (8, "Summarise this letter for the"),
    ]


def test_the_hours_are_those_of_the_clock_in_utc():
    audit = audit_traffic([call(0), call(HOUR), call(DAY)])
    assert {line.key: line.calls for line in audit.by("hour")} == {"09": 2, "10": 1}
    assert {line.key: line.calls for line in audit.by("day")} == {"2026-03-02": 2, "2026-03-03": 1}


def test_beyond_the_first_500_groups_one_line_holds_the_rest():
    audit = audit_traffic([call(n, f"Q{n}", user=f"u{n:04d}") for n in range(600)])
    lines = audit.by("user")
    assert len(lines) == 501
    assert (lines[-1].calls, lines[-1].rest, lines[-1].key) == (100, 100, None)


def test_an_audit_can_be_written_as_json_and_read_again(whole):
    assert Audit.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole


def test_a_part_can_be_kept_in_a_file(traffic, whole, tmp_path):
    for number, piece in enumerate((traffic[:300], traffic[300:])):
        audit_partition(piece).save(tmp_path / f"{number}.npz")
    parts = [AuditPart.load(path) for path in sorted(tmp_path.iterdir())]
    assert merge_parts(parts) == whole


def test_what_was_not_understood_is_passed_on():
    parts = [audit_partition([call(n)], bad=2, problems=[f"log:{n}: no time"]) for n in range(3)]
    audit = merge_parts(parts)
    assert (audit.bad, len(audit.problems)) == (6, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"month_days": 0}, "month_days must be above 0, not 0"),
        ({"processes": 0}, "processes must be 1 or more, not 0"),
        ({"workdir": "somewhere"}, "only what read_traffic returns can be read again, not list"),
    ],
)
def test_wrong_settings_are_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        audit_traffic([call(0)], **arguments)


def test_what_is_no_part_is_refused():
    with pytest.raises(ConfigurationError, match="merge_parts takes what audit_partition returns"):
        merge_parts(["part"])


def test_an_audit_groups_by_known_dimensions_only(whole):
    with pytest.raises(ConfigurationError, match="not by 'colour'"):
        whole.by("colour")
    with pytest.raises(ConfigurationError, match="an audit of format 1 was expected"):
        Audit.from_dict({"format": 2})
