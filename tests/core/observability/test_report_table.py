"""The table of a report adds up, and says what it does not know."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from xml.etree import ElementTree as ET

from hypothesis import given, settings

from tests.core.observability.records import START, hit, records, spend
from tokenomics_core import Totals
from tokenomics_core.observability import CostReport
from tokenomics_core.rendering import Bar, Table, to_html, to_text


def table_of(*calls, by=("model", "feature", "user"), max_rows=15, **settings) -> Table:
    report = CostReport(**settings)
    for record in calls:
        report.add(record)
    return report.to_table(by, max_rows=max_rows)


def column(table: Table, title: str) -> list:
    """Return a column's values, row by row, the footer last."""
    index = [one.title for one in table.columns].index(title)
    return [row.cells[index].value for row in table.rows]


def notices(table: Table) -> list[str]:
    return [notice.text for notice in table.notices]


@settings(deadline=None)
@given(records)
def test_every_section_adds_up_to_the_footer(calls):
    table = table_of(*calls, max_rows=3)
    if not calls:
        assert table.rows == []
        return
    assert table.footer is not None
    for index, title in enumerate([one.title for one in table.columns]):
        if table.columns[index].kind not in {"count", "money"}:
            continue
        whole = table.footer.cells[index].value or 0
        for group in table.groups:
            assert sum(row.cells[index].value or 0 for row in group.rows) == whole, (title, group.title)


@settings(deadline=None)
@given(records)
def test_the_footer_is_the_sum_of_all_calls(calls):
    table, totals = table_of(*calls), Totals.of(calls)
    if calls:
        assert column(table, "Calls")[-1] == totals.calls
        assert (column(table, "Cost")[-1] or 0) == totals.cost_usd
        assert (column(table, "Tokens in")[-1] or 0) == totals.input_tokens
        assert (column(table, "reasoning")[-1] or 0) == totals.reasoning_tokens


@settings(deadline=None)
@given(records)
def test_any_report_can_be_drawn(calls):
    table = table_of(*calls)
    assert ET.fromstring(to_html(table)).tag == "div"
    assert max(map(len, to_text(table, 72).splitlines())) <= 72


def test_sections_are_by_model_feature_and_user_and_only_where_there_is_something_to_tell():
    titles = [group.title for group in table_of(spend(user="ada"), spend()).groups]
    assert titles == ["Model", "User"]
    table = table_of(spend(tags={"user_tier": "power"}), by="user_tier")
    assert [(group.title, group.rows[0].cells[0].value) for group in table.groups] == [("User tier", "power")]


def test_calls_without_a_value_have_a_row_of_their_own():
    table = table_of(spend(user="ada"), spend(cost="5"), by="user")
    assert column(table, "") == ["no user", "ada", "Total"]


def test_rows_come_costliest_first_then_unpriced_then_by_name():
    calls = [spend("b", "1"), spend("a", "1"), spend("z", "3"), spend("free", "0"), spend("unknown", None)]
    assert column(table_of(*calls), "") == ["z", "a", "b", "unknown", "free", "Total"]


def test_a_long_section_ends_with_the_sum_of_the_rest():
    table = table_of(*(spend(f"m{number}", str(number)) for number in range(1, 11)), max_rows=4)
    assert column(table, "") == ["m10", "m9", "m8", "7 more", "Total"]
    assert column(table, "Cost") == [10, 9, 8, sum(range(8)), 55]


def test_a_count_that_nobody_reported_is_unknown_and_one_that_is_0_is_0():
    known = spend("known", cache_read_tokens=0, reasoning_tokens=4)
    table = table_of(known, spend("silent", "0.001", tokens=(5, None)))
    assert column(table, "cached") == [0, None, 0]
    assert column(table, "reasoning") == [4, None, 4]
    assert column(table, "out") == [20, None, 20]
    assert column(table, "written") == [None, None, None]


def test_answers_from_a_cache_add_no_tokens_and_no_cost():
    table = table_of(spend(cost="0.01", tokens=(10, 1)), hit(avoided="0.03", tokens=(500, 50)))
    assert column(table, "Tokens in") == [10, 10]
    assert column(table, "Cost") == [Decimal("0.01")] * 2
    assert column(table, "from cache") == [1, 1]
    assert column(table, "Avoided") == [Decimal("0.03")] * 2


def test_columns_for_caches_and_savings_appear_only_where_there_are_any():
    titles = {one.title for one in table_of(spend()).columns}
    assert not titles & {"from cache", "Avoided"}


def test_what_was_avoided_is_left_empty_where_it_is_not_known():
    table = table_of(spend("a", "5"), hit("b", avoided="0.03"))
    assert column(table, "Avoided") == ["", Decimal("0.03"), Decimal("0.03")]


def test_what_has_no_price_is_red_named_and_counted():
    table = table_of(
        spend(cost="0.5"), spend("acme", None), spend("acme", None), spend("odd", None), by="model"
    )
    costs = dict(zip(column(table, ""), (row.cells[7] for row in table.rows), strict=True))
    assert (costs["acme"].value, costs["acme"].level) == (None, "error")
    assert (costs["Total"].value, costs["Total"].note, costs["Total"].note_level) == (
        Decimal("0.5"),
        "+3 unpriced",
        "error",
    )
    assert "acme, odd" in costs["Total"].hint
    assert table.notices[0].level == "error"
    assert table.notices[0].text.startswith("3 calls without a price are not in the cost: acme (2), odd.")


def test_a_report_in_which_nothing_has_a_price_costs_an_unknown_amount():
    table = table_of(spend(cost=None))
    assert column(table, "Cost") == [None, None]
    assert table.figures[0].cell.value is None


def test_estimates_are_marked_in_the_row_and_below():
    table = table_of(spend("sure", "1"), spend("guess", "2", estimated=True))
    marked = {row.cells[0].value: [cell.estimated for cell in row.cells] for row in table.rows}
    assert not any(marked["sure"])
    titles = [one.title for one in table.columns]
    assert [titles[index] for index, mark in enumerate(marked["guess"]) if mark] == [
        "Tokens in",
        "out",
        "Cost",
    ]
    assert "1 call is an estimate (~): the provider reported no complete usage." in notices(table)


def test_bars_are_in_proportion_with_what_was_avoided_behind():
    table = table_of(
        spend("big", "6"), spend("small", "2"), hit("small", avoided="1"), spend("unknown", None), by="model"
    )
    big, small, unknown, _ = column(table, "Share")
    assert isinstance(big, Bar)
    assert [part.share for part in big.parts] == [1.0]
    assert isinstance(small, Bar)
    assert [round(part.share, 6) for part in small.parts] == [round(2 / 6, 6), round(1 / 6, 6)]
    assert [part.hatched for part in small.parts] == [False, True]
    assert small.label == "25% of the cost, 33% avoided"
    assert unknown == ""


class Book:
    """A pricer that tells about its data."""

    data_version, data_date, is_stale = "prices 7", date(2026, 11, 1), False


class OldBook(Book):
    is_stale = True


def test_the_data_behind_the_prices_is_named_on_every_report():
    assert notices(table_of(spend(), price_data="prices 9 of today", prices=Book())) == [
        "Prices: prices 9 of today; also test prices of 2026-11-14"
    ]
    assert notices(table_of(spend(price_source="prices 7: acme/big"), prices=Book())) == [
        "Prices: prices 7, data of 2026-11-01"
    ]
    assert notices(table_of(spend(), hit())) == ["Prices: test prices of 2026-11-14"]
    assert "Prices: prices 7, data of 2026-11-01" in notices(table_of(prices=Book()))


def test_prices_from_elsewhere_are_named_too():
    calls = [spend(price_source="prices 7: acme/big"), *(spend(price_source="overlay: x") for _ in range(2))]
    assert notices(table_of(*calls, prices=Book())) == [
        "Prices: prices 7, data of 2026-11-01; also overlay (2)"
    ]


def test_old_price_data_is_a_warning():
    last = table_of(spend(), prices=OldBook()).notices[-1]
    assert (last.level, last.text.startswith("This price data is old")) == ("warning", True)


def test_a_model_tells_where_its_price_is_from():
    table = table_of(spend("big", price_source="prices 7: acme/big"), spend("none", None), by="model")
    assert table.rows[0].cells[0].hint == "big · price: prices 7: acme/big"
    assert table.rows[1].cells[0].hint == ""


def test_why_a_model_has_no_price_is_told_with_its_name():
    told = notices(table_of(spend("llama3", None, notes=("say which provider serves it",))))
    assert "llama3: say which provider serves it (1 call)" in told


def test_notes_are_told_once_with_their_number_and_only_the_most_frequent():
    calls = [spend(notes=(f"note {number}",)) for number in range(6)]
    told = notices(table_of(*calls, spend(notes=("tier", "tier")), spend(notes=("tier",))))
    assert told[0] == "tier (2 calls)"
    assert told[1:4] == ["note 0 (1 call)", "note 1 (1 call)", "note 2 (1 call)"]
    assert told[4] == "and 3 more notes; see the records"


def test_calls_that_did_not_finish_are_told():
    table = table_of(spend(outcome="aborted"), spend(outcome="aborted"), spend(outcome="cancelled"))
    assert "3 calls did not finish: aborted (2), cancelled." in notices(table)


def test_figures_tell_the_cost_what_was_avoided_and_how_much_ran():
    table = table_of(spend(cost="0.06", cache_read_tokens=25), hit(avoided="0.02"), spend(cost=None))
    figures = {figure.label: figure.cell for figure in table.figures}
    assert (figures["Cost"].value, figures["Cost"].note) == (Decimal("0.06"), "+1 unpriced")
    assert (figures["Avoided"].value, figures["Avoided"].note) == (Decimal("0.02"), "25%")
    assert (figures["Calls"].value, figures["Calls"].note) == (3, "1 from cache")
    assert (figures["Tokens in"].value, figures["Tokens in"].note) == (200, "12% cached")
    assert figures["Tokens out"].value == 40


def test_the_period_is_told_in_utc():
    assert table_of(spend()).subtitle == "2026-11-20 09:58 UTC"
    assert table_of(spend(after_s=300), spend()).subtitle == "2026-11-20 09:58 – 10:03 UTC"  # noqa: RUF001 - a dash
    assert table_of(spend(), spend(after_s=86400)).subtitle == "2026-11-20 09:58 – 2026-11-21 09:58 UTC"  # noqa: RUF001 - a dash
    assert START.tzinfo is not None


def test_what_is_too_long_to_be_a_name_is_cut_wherever_it_is_shown():
    prompt = "Summarise: " + "word " * 20_000
    report = CostReport()
    report.add(spend(prompt, cost=None, user=prompt, feature=prompt))
    assert len(str(report)) < 20_000
    assert len(report._repr_html_()) < 40_000
    assert "Summarise: " in str(report)
