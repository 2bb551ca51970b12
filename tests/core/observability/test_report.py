"""A report counts every call once and gives its sums under every name that people know."""

from __future__ import annotations

import copy
import logging
import multiprocessing
import pickle
import re
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings

from tests.core.observability.records import hit, records, spend
from tokenomics_core import ConfigurationError, Totals
from tokenomics_core.observability import CostReport
from tokenomics_core.pricing import PriceBook


def report_of(*calls, **settings):
    report = CostReport(**settings)
    for record in calls:
        report.add(record)
    return report


@settings(deadline=None)
@given(records)
def test_every_sum_is_that_of_the_records(calls):
    report = report_of(*calls)
    assert report.calls == calls
    assert report.totals == Totals.of(calls)
    assert report.total_usd == sum((call.cost_usd or 0 for call in calls), Decimal(0))
    assert report.avoided_usd == sum((call.avoided_usd or 0 for call in calls), Decimal(0))
    assert report.unpriced_calls == sum(call.cost_usd is None for call in calls)
    assert report.estimated_calls == sum(call.estimated for call in calls)
    assert report.cached_calls == sum(call.source == "cache" for call in calls)


@settings(deadline=None)
@given(records)
def test_groups_add_up_to_the_whole_in_every_dimension(calls):
    report = report_of(*calls)
    for dimension in ("model", "user", "feature", "source", "outcome", "a tag that nobody set"):
        assert sum(report.by(dimension).values()) == report.total_usd
        assert sum(report.totals_by(dimension).values(), Totals()) == report.totals


@settings(deadline=None)
@given(records)
def test_groups_come_largest_first_and_in_the_same_order_whatever_came_first(calls):
    amounts = list(report_of(*calls).by("user").values())
    assert amounts == sorted(amounts, reverse=True)
    assert list(report_of(*calls).by("user")) == list(report_of(*reversed(calls)).by("user"))


def test_a_call_that_is_recorded_twice_counts_once():
    report, record = CostReport(), spend(cost="0.5")
    assert [report.add(record), report.add(record), report.add(spend(cost="9", id=record.id))] == [
        True,
        False,
        False,
    ]
    assert report.total_usd == Decimal("0.5")


def test_threads_that_record_the_same_calls_lose_none_and_double_none():
    report = CostReport()
    calls = [spend(cost="0.001") for _ in range(300)]
    added, heard = [], []
    report.subscribe(heard.append)

    def work():
        added.append(sum(report.add(record) for record in calls))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(added) == len(calls) == len(heard) == report.totals.calls
    assert report.total_usd == Decimal("0.3")


def test_sums_are_exact_whatever_precision_the_caller_has_set():
    report = report_of(spend(cost="1234567.89"), spend(cost="0.000000000001"))
    with localcontext(prec=3):
        assert str(report.total_usd) == "1234567.890000000001"
        assert str(report.by("model")["gpt-4o"]) == "1234567.890000000001"
        assert "$1,234,567.89" in str(report)


def test_calls_are_a_copy():
    report = report_of(spend())
    report.calls.clear()
    assert len(report.calls) == 1


def test_calls_without_a_value_stand_under_an_empty_name():
    report = report_of(spend(cost="2", user="ada"), spend(cost="3"), spend(cost="1", tags={"team": "search"}))
    assert report.by("user") == {"": Decimal(4), "ada": Decimal(2)}
    assert report.by("team") == {"": Decimal(5), "search": Decimal(1)}


def test_what_has_no_price_is_counted_and_adds_nothing():
    report = report_of(spend(cost=None), spend(cost="0.25"))
    assert (report.total_usd, report.unpriced_calls) == (Decimal("0.25"), 1)


def test_the_names_of_get_openai_callback_work():
    report = report_of(
        spend(cost="0.25", tokens=(100, 20), cache_read_tokens=60, reasoning_tokens=5),
        spend(cost="0.50", tokens=(10, 2), outcome="aborted"),
        hit(tokens=(1000, 1000)),
    )
    assert (report.total_tokens, report.prompt_tokens, report.completion_tokens) == (132, 110, 22)
    assert (report.prompt_tokens_cached, report.reasoning_tokens, report.successful_requests) == (60, 5, 1)
    assert report.total_cost == 0.75
    assert isinstance(report.total_cost, float)


def test_the_names_of_the_token_counting_handler_work():
    report = report_of(spend(tokens=(100, 20)), spend("embed", tokens=(7, None), operation="embedding"))
    assert report.total_llm_token_count == 120
    assert (report.prompt_llm_token_count, report.completion_llm_token_count) == (100, 20)
    assert report.total_embedding_token_count == 7


# -- subscribers ---------------------------------------------------------------


def test_a_subscriber_hears_of_every_new_call_until_it_leaves():
    report, heard = CostReport(), []
    leave = report.subscribe(heard.append)
    first, second = spend(), spend()
    report.add(first)
    report.add(first)
    leave()
    leave()
    report.add(second)
    assert heard == [first]


def test_a_subscriber_finds_the_call_in_the_report_and_may_ask_it_anything():
    report, totals = CostReport(), []
    report.subscribe(lambda _: totals.append(report.total_usd))
    report.add(spend(cost="1"))
    report.add(spend(cost="2"))
    assert totals == [Decimal(1), Decimal(3)]


def test_a_subscriber_that_fails_is_logged_once_and_hurts_nobody(caplog):
    report, heard = CostReport(), []

    def fail(_):
        raise OSError("screen gone")

    report.subscribe(fail)
    report.subscribe(heard.append)
    with caplog.at_level(logging.ERROR, logger="tokenomics"):
        assert [report.add(spend()) for _ in range(3)] == [True] * 3
    assert report.failed_callbacks == 3
    assert len(heard) == 3
    assert len(caplog.records) == 1


# -- shows itself --------------------------------------------------------------


def test_a_report_shows_itself_as_page_text_and_in_one_line():
    report = report_of(spend(cost="0.25"), spend("acme", None), title="Night run")
    assert "<table>" in report._repr_html_()
    assert "Night run" in report._repr_html_()
    assert str(report).startswith("Night run")
    assert repr(report) == "<CostReport 0.25 USD, 2 calls, 1 unpriced>"


def test_ipython_prints_the_text():
    from IPython.lib.pretty import pretty

    report = report_of(spend(cost="0.25"))
    assert pretty(report) == str(report)


def test_rich_prints_the_report():
    import io

    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=100).print(report_of(spend(cost="0.25")))
    assert "$0.25" in out.getvalue()


def test_text_is_as_wide_as_the_terminal(monkeypatch):
    report = report_of(spend("m" * 80, cost="0.25"))
    for columns in ("60", "140"):
        monkeypatch.setenv("COLUMNS", columns)
        assert max(map(len, str(report).splitlines())) <= int(columns)


def test_a_report_is_never_mistaken_for_nothing():
    assert CostReport()


def test_an_empty_report_says_so():
    report = CostReport()
    assert "No calls recorded yet" in str(report)
    assert "No calls recorded yet" in report._repr_html_()
    assert (report.total_usd, report.by("model"), report.calls) == (Decimal(0), {}, [])


@pytest.mark.parametrize("max_rows", [1, 0, -3, "5", None, 2.5])
def test_a_section_needs_room_for_two_rows(max_rows):
    with pytest.raises(ValueError, match="max_rows must be 2 or more"):
        CostReport().to_table(max_rows=max_rows)


def steps_of(action):
    """Count the calls of functions, Python's and others, that an action makes."""
    steps = 0

    def count(_frame, event, _argument):
        nonlocal steps
        steps += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return steps


def many(n_calls):
    return report_of(*(spend(user=f"u{at % 7}", feature="f", after_s=at) for at in range(n_calls)))


@pytest.mark.parametrize(
    "name",
    [
        *("total_usd", "avoided_usd", "unpriced_calls", "estimated_calls", "cached_calls", "totals"),
        *("total_tokens", "total_llm_token_count", "total_embedding_token_count"),
    ],
)
def test_a_sum_takes_no_more_steps_for_many_calls_than_for_one(name):
    few, more = many(1), many(300)
    assert steps_of(lambda: getattr(more, name)) == steps_of(lambda: getattr(few, name))


def test_a_further_section_of_a_table_takes_no_further_step_per_call():
    def steps_of_another_hundred(by):
        few, more = many(100), many(200)
        return steps_of(lambda: more.to_table(by=by)) - steps_of(lambda: few.to_table(by=by))

    one, three = steps_of_another_hundred("model"), steps_of_another_hundred(("model", "feature", "user"))
    assert three < one + 100


@settings(deadline=None)
@given(records)
def test_a_pickled_report_is_the_same_report(calls):
    book = PriceBook()
    report = report_of(*calls, title="A worker's", prices=book)
    report.subscribe(lambda record: None)
    report.count_failure()
    for again in (pickle.loads(pickle.dumps(report)), copy.copy(report)):
        assert (again.calls, again.totals, again.failures, again.title) == (
            calls,
            report.totals,
            1,
            report.title,
        )
        assert str(again) == str(report)
        assert again.add(spend()) is True
        assert report.calls == calls


def test_a_worker_that_is_spawned_sends_its_report_back():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        report = pool.submit(many, 3).result()
    assert report.total_usd == Decimal("0.03")
    assert list(report.by("user")) == ["u0", "u1", "u2"]


@pytest.mark.parametrize("wrong", ["x", None, {"model": "gpt-4o"}])
def test_what_is_no_record_is_refused(wrong):
    report = CostReport()
    with pytest.raises(ConfigurationError, match=r"takes a SpendRecord, not .*nothing was added"):
        report.add(wrong)
    assert report.calls == []


@pytest.mark.parametrize("wrong", [5, ["user"], "", None])
def test_a_dimension_that_is_no_name_is_refused(wrong):
    for ask in (CostReport().by, CostReport().totals_by, lambda by: CostReport().to_table(by=(by,))):
        with pytest.raises(ConfigurationError, match=f"must be a name, not {re.escape(repr(wrong))}"):
            ask(wrong)
