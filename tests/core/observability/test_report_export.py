"""A report becomes a data frame and a drawing without losing or inventing anything."""

from __future__ import annotations

import sys
from decimal import Decimal

import matplotlib as mpl
import pytest
from hypothesis import given, settings

from tests.core.observability.records import hit, records, spend
from tokenomics_core.errors import ConfigurationError, MissingExtraError
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability import CostReport

mpl.use("Agg")

from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def report_of(*calls, **settings):
    report = CostReport(**settings)
    for record in calls:
        report.add(record)
    return report


# -- data frame ------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(records)
def test_a_frame_has_a_row_per_call_and_the_same_sums(calls):
    report = report_of(*calls)
    frame = report.to_dataframe()
    assert len(frame) == len(calls)
    assert frame["cost_usd"].sum() == report.total_usd
    assert frame["cost_usd"].isna().sum() == report.unpriced_calls
    assert sorted(frame["id"]) == sorted(call.id for call in calls)
    assert frame["at"].is_monotonic_increasing


def test_columns_have_the_types_of_what_they_hold():
    frame = report_of(
        spend(tags={"team": "search"}, user="ada"), spend(cost=None, tokens=(None, None))
    ).to_dataframe()
    assert str(frame["at"].dtype).startswith("datetime64[")
    assert str(frame["at"].dt.tz) == "UTC"
    assert frame["cost_usd"].dtype == "object"
    assert frame["input_tokens"].dtype == "Int64"
    assert frame["estimated"].dtype == "bool"
    assert frame["input_tokens"].isna().tolist() == [False, True]
    assert frame["tag:team"].iloc[0] == "search"
    assert frame["tag:team"].isna().tolist() == [False, True]
    assert frame.groupby("user")["cost_usd"].sum().to_dict() == {"ada": Decimal("0.01")}


def test_amounts_are_exact_as_in_a_ledgers_frame_or_floats_by_choice():
    report, ledger = report_of(spend(cost="0.123456789012")), MemoryLedger()
    ledger.record(report.calls[0])
    for exact in (report.to_dataframe(), ledger.to_dataframe()):
        assert exact["cost_usd"].tolist() == [Decimal("0.123456789012")]
    assert report.to_dataframe(money="float")["cost_usd"].dtype == "float64"


def test_an_empty_frame_has_the_same_columns():
    full, empty = report_of(spend()).to_dataframe(), CostReport().to_dataframe()
    assert list(full.columns) == list(empty.columns)
    assert len(empty) == 0
    assert empty["cost_usd"].sum() == 0


def test_a_missing_pandas_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'token-economics\[notebook\]'"):
        report_of(spend()).to_dataframe()


# -- drawing ---------------------------------------------------------------------


def test_bars_are_as_long_as_the_costs_with_what_was_avoided_behind():
    report = report_of(spend("big", "6"), spend("small", "2"), hit("small", avoided="1"), title="Run")
    ax = report.plot()
    cost, avoided = ax.containers
    assert [bar.get_width() for bar in cost] == [6.0, 2.0]
    assert [(bar.get_x(), bar.get_width()) for bar in avoided] == [(6.0, 0.0), (2.0, 1.0)]
    assert {bar.get_hatch() for bar in avoided} == {"////"}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["big", "small"]
    assert ax.get_title(loc="left") == "Run"
    assert ax.yaxis_inverted()


def test_what_has_no_price_is_named_in_red_beside_an_empty_bar():
    ax = report_of(spend("big", "6"), spend("acme", None), spend("big", None)).plot()
    texts = {text.get_text(): text.get_color() for text in ax.texts}
    assert texts == {r"\$6.00 + 1 unpriced": "#c0282d", "unpriced": "#c0282d"}


def test_bars_can_stand_for_any_dimension_or_tag():
    report = report_of(spend(cost="1", user="ada", tags={"team": "x"}), spend(cost="2"))
    assert [label.get_text() for label in report.plot("user").get_yticklabels()] == ["no user", "ada"]
    assert [label.get_text() for label in report.plot(by="team").get_yticklabels()] == ["no team", "x"]


def test_many_bars_end_with_the_sum_of_the_rest():
    ax = report_of(*(spend(f"m{number:02}", str(number + 1)) for number in range(30))).plot()
    widths = [bar.get_width() for bar in ax.containers[0]]
    assert len(widths) == 20
    assert widths[-1] == sum(range(1, 12))
    assert ax.get_yticklabels()[-1].get_text() == "11 more"


def test_the_cost_over_time_climbs_to_the_total():
    calls = [
        spend(cost="2", after_s=60),
        spend(cost="1"),
        hit(avoided="4", after_s=120),
        spend(cost=None, after_s=9),
    ]
    ax = report_of(*calls).plot(kind="time")
    cost, without = ax.get_lines()
    assert list(cost.get_ydata()) == [1, 1, 3, 3]
    assert list(without.get_ydata()) == [1, 1, 3, 7]
    times = cost.get_xdata()
    assert list(times) == sorted(times)


def test_it_draws_where_it_is_told():
    _, ax = plt.subplots()
    assert report_of(spend()).plot(ax=ax) is ax
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("kind", ["bar", "time"])
@pytest.mark.parametrize("calls", [[], [spend(cost=None)], [spend("a$b$c", "0.00001", user="x_1")]])
def test_anything_can_be_drawn_to_the_last_pixel(kind, calls):
    report_of(*calls).plot(kind=kind).figure.canvas.draw()


def test_an_unknown_kind_of_drawing_is_refused():
    with pytest.raises(ConfigurationError, match="kind must be 'bar' or 'time', not 'pie'"):
        report_of(spend()).plot(kind="pie")


def test_a_missing_matplotlib_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'token-economics\[plots\]'"):
        report_of(spend()).plot()
