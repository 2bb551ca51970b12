"""Plain text is aligned, keeps to its width, and gives up the least important first."""

# ruff: noqa: RUF001 - the dash and the minus sign are what is drawn

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.core.rendering.tables import small_table, tables
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.rendering import Bar, BarPart, Cell, Column, Group, Notice, Row, Table, to_text
from tokenomics_core.rendering._format import display_width

readable = st.text(st.characters(categories=("Lu", "Ll", "Nd", "Zs", "Po"), max_codepoint=0x2FF), max_size=60)


@settings(deadline=None)
@given(tables(), st.integers(min_value=20, max_value=200))
def test_no_line_is_wider_than_asked(table, width):
    assert max(map(display_width, to_text(table, width).splitlines()), default=0) <= width


@settings(deadline=None)
@given(readable, st.text("模型评估测试ア가", max_size=30), st.integers(min_value=20, max_value=100))
def test_the_width_is_that_of_a_terminal(name, wide, width):
    table = Table(
        title=name,
        columns=(Column(title=""), Column(title="n", kind="count")),
        groups=(Group("g", (Row((Cell(name), Cell(1))), Row((Cell(wide), Cell(22))))),),
    )
    assert max(cell_len(line) for line in to_text(table, width).splitlines()) <= width


@settings(deadline=None)
@given(tables())
def test_text_holds_no_control_codes(table):
    assert all(char.isprintable() or char == "\n" for char in to_text(table) if ord(char) < 0x300)


def test_a_small_table_reads_like_this():
    lines = to_text(small_table()).splitlines()
    assert lines[:3] == ["Spending  today", "Cost $12.35 (+1 unpriced)", ""]
    assert lines[3].split() == ["Model", "Calls", "Cost", "Share"]
    assert lines[5].split() == ["gpt-4o", "12,345", "$12.35", "60%", "━━━━━━━━━╸┅┅┅┅┅"]
    assert lines[6].split() == ["acme", "–", "unpriced", "0%"]
    assert lines[-1] == "· prices of today"
    assert lines[-2] == "! one call has no price"


def test_decimal_points_and_ends_of_counts_stand_below_one_another():
    lines = to_text(small_table()).splitlines()
    rows = [line for line in lines if line.startswith(("gpt-4o", "ada", "Total"))]
    assert len(rows) == 3
    assert len({row.index("$") + row[row.index("$") :].index(".") for row in rows}) == 1
    calls = [line for line in lines if line.startswith(("gpt-4o", "Total"))]
    assert len({line.index("12,345") for line in calls}) == 1


def test_where_room_is_short_columns_go_by_their_priority():
    marks = ("Share", "━", "Calls")
    drawn = (to_text(small_table(), width) for width in range(100, 20, -1))
    seen = list(dict.fromkeys(tuple(mark for mark in marks if mark in text) for text in drawn))
    assert seen == [("Share", "━", "Calls"), ("━", "Calls"), ("Calls",), ()]


def test_large_counts_are_abbreviated_before_a_column_goes():
    table = Table(
        title="",
        columns=(Column(title=""), Column(title="in", kind="count", priority=1)),
        groups=(Group("Model", (Row((Cell("a-model-with-a-name"), Cell(123_456_789_000))),)),),
    )
    assert "123,456,789,000" in to_text(table, 60)
    assert "123B" in to_text(table, 30)


def test_a_long_name_gives_way_before_the_numbers():
    table = Table(
        title="",
        columns=(Column(title=""), Column(title="Calls", kind="count")),
        groups=(Group("Model", (Row((Cell("us.anthropic.claude-haiku-4-5-20251001-v1:0"), Cell(7))),)),),
    )
    line = to_text(table, 30).splitlines()[-1]
    assert line.startswith("us.anthropi…")
    assert line.endswith("v1:0      7")


@pytest.mark.parametrize(
    ("parts", "drawn"),
    [
        ((BarPart(1.0),), "━" * 16),
        ((BarPart(0.5),), "━" * 8),
        ((BarPart(0.53125),), "━" * 8 + "╸"),
        ((BarPart(0.001),), "╸"),
        ((BarPart(0.5), BarPart(0.5, hatched=True)), "━" * 8 + "┅" * 8),
        ((BarPart(0.999), BarPart(0.001, hatched=True)), "━" * 15 + "┅"),
        ((BarPart(0.0), BarPart(0.25, hatched=True)), "┅" * 4),
        ((), ""),
    ],
)
def test_a_bar_is_as_long_as_its_share_and_nothing_vanishes(parts, drawn):
    table = Table(
        title="",
        columns=(Column(title="x"), Column(title="", kind="bar")),
        groups=(Group("", (Row((Cell("n"), Cell(Bar(parts)))),)),),
    )
    assert to_text(table).splitlines()[-1].split() == ["n", *filter(None, [drawn])]


@settings(deadline=None)
@given(st.lists(st.text("abcde", min_size=1, max_size=30), min_size=1), st.integers(20, 60))
def test_no_word_of_a_notice_is_lost_however_narrow_it_is(words, width):
    table = Table(title="", columns=(Column(title=""),), notices=(Notice(" ".join(words)),))
    lines = [line[2:] for line in to_text(table, width).splitlines() if line]
    assert "".join(lines).replace(" ", "") == "".join(words)


def test_a_long_notice_is_wrapped_under_itself():
    lines = to_text(small_table(), 20).splitlines()
    assert lines[-3:] == ["! one call has no", "  price", "· prices of today"]


@pytest.mark.parametrize("width", [19, 0, -1])
def test_a_width_that_holds_nothing_is_refused(width):
    with pytest.raises(ConfigurationError, match="width must be 20 or more"):
        to_text(small_table(), width)


@pytest.mark.parametrize("letters", ["a", "模", "e\N{COMBINING ACUTE ACCENT}"])
def test_a_word_without_end_is_wrapped_in_as_many_steps_as_it_is_long(letters):
    def steps(length):
        table = Table(title="t", columns=(Column(title=""),), notices=(Notice(letters * length),))
        taken = 0

        def count(_frame, event, _argument):
            nonlocal taken
            taken += event in {"call", "c_call"}

        sys.setprofile(count)
        try:
            text = to_text(table, 60)
        finally:
            sys.setprofile(None)
        assert text.count(letters) == length
        return taken

    assert steps(4000) < 3 * steps(2000)
