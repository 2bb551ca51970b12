"""A table that could not be drawn is refused when it is made."""

from __future__ import annotations

import math

import pytest

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.rendering import Bar, BarPart, Cell, Column, Group, Row, Table


def test_a_table_without_columns_is_refused():
    with pytest.raises(ConfigurationError, match="at least one column"):
        Table(title="", columns=())


@pytest.mark.parametrize("place", ["group", "footer"])
def test_a_row_that_does_not_fit_the_columns_is_refused(place):
    row = Row((Cell("a"), Cell("b")))
    groups = (Group("", (row,)),) if place == "group" else ()
    with pytest.raises(ConfigurationError, match="needs 1 cells, one per column, not 2"):
        Table(title="", columns=(Column(title=""),), groups=groups, footer=None if groups else row)


@pytest.mark.parametrize("share", [-0.1, math.nan, math.inf])
def test_a_stretch_that_is_no_share_is_refused(share):
    with pytest.raises(ConfigurationError, match="share must be in"):
        BarPart(share)


def test_a_bar_longer_than_its_track_is_refused():
    with pytest.raises(ConfigurationError, match="at most 1"):
        Bar((BarPart(0.7), BarPart(0.4)))


def test_a_bar_may_be_full_in_spite_of_rounding():
    assert len(Bar(tuple(BarPart(0.1) for _ in range(10))).parts) == 10


@pytest.mark.parametrize("priority", [-1, 10])
def test_a_priority_out_of_range_is_refused(priority):
    with pytest.raises(ConfigurationError, match="priority must be from 0 to 9"):
        Column(title="", priority=priority)


@pytest.mark.parametrize(
    ("kind", "side"), [("text", "left"), ("count", "right"), ("money", "right"), ("bar", "left")]
)
def test_numbers_stand_on_the_right_unless_told_otherwise(kind, side):
    assert Column(title="", kind=kind).side == side
    assert Column(title="", kind=kind, align="center").side == "center"
