"""A terminal shows the same table, in colours, at its own width."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console
from rich.panel import Panel

from tests.core.rendering.tables import small_table
from tokenomics_core.errors import MissingExtraError
from tokenomics_core.rendering import to_rich, to_text


def _drawn(renderable: object, width: int, *, colours: bool = False) -> str:
    out = io.StringIO()
    system = "truecolor" if colours else None
    Console(file=out, width=width, force_terminal=colours, color_system=system).print(renderable)
    return out.getvalue()


@pytest.mark.parametrize("width", [30, 60, 120])
def test_without_colours_it_is_the_plain_text(width):
    lines = [line.rstrip() for line in _drawn(to_rich(small_table()), width).splitlines()]
    assert lines == to_text(small_table(), width).splitlines()


def test_what_has_no_price_is_red_and_what_was_saved_is_green():
    drawn = _drawn(to_rich(small_table()), 120, colours=True)
    assert "\x1b[38;2;217;72;77m" in drawn.split("unpriced")[0][-60:]
    assert "\x1b[38;2;47;158;107m┅" in drawn


def test_names_are_not_read_as_markup():
    from tokenomics_core.rendering import Cell, Column, Group, Row, Table

    rows = (Row((Cell("[red]model[/red]"),)),)
    table = Table(title="[bold]t", columns=(Column(title=""),), groups=(Group("", rows),))
    assert "[red]model[/red]" in _drawn(to_rich(table), 60)


def test_it_fits_into_other_renderables():
    lines = _drawn(Panel.fit(to_rich(small_table())), 100).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("╭")


def test_a_missing_rich_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'token-economics\[notebook\]'"):
        to_rich(small_table())
