"""Tables to draw in tests."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from tokenomics_core.rendering import Bar, BarPart, Cell, Column, Figure, Group, Notice, Row, Table

LEVELS = ("normal", "muted", "good", "warning", "error")

texts = st.text(max_size=30)
levels = st.sampled_from(LEVELS)
notes = st.one_of(st.just(""), texts)
shares = st.floats(min_value=0, max_value=0.5)
bars = st.builds(
    lambda first, second, label: Bar((BarPart(first, "spent"), BarPart(second, "held", "good", True)), label),
    shares,
    shares,
    texts,
)
_values = {
    "text": texts,
    "count": st.one_of(st.none(), st.integers(min_value=0, max_value=10**12)),
    "money": st.one_of(st.none(), st.decimals(min_value=-100, max_value=10**7, places=9)),
    "percent": st.one_of(st.none(), st.floats(min_value=-2, max_value=2)),
    "bar": bars,
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw any table that can be built."""
    kinds = ["text", *draw(st.lists(st.sampled_from(sorted(_values)), max_size=6))]
    columns = tuple(
        Column(
            title=draw(texts),
            kind=kind,
            strong=draw(st.booleans()),
            part=draw(st.booleans()),
            priority=draw(st.integers(min_value=0, max_value=9)),
        )
        for kind in kinds
    )

    def row() -> Row:
        return Row(
            tuple(
                Cell(
                    draw(_values[kind]),
                    draw(levels),
                    draw(st.booleans()),
                    draw(notes),
                    draw(levels),
                    draw(notes),
                )
                for kind in kinds
            )
        )

    groups = tuple(
        Group(draw(texts), tuple(row() for _ in range(draw(st.integers(0, 3)))))
        for _ in range(draw(st.integers(0, 3)))
    )
    return Table(
        title=draw(texts),
        subtitle=draw(texts),
        figures=tuple(
            Figure(draw(texts), Cell(draw(_values["money"]), draw(levels), note=draw(notes)), "money")
            for _ in range(draw(st.integers(0, 3)))
        ),
        columns=columns,
        groups=groups,
        footer=row() if draw(st.booleans()) else None,
        notices=tuple(Notice(text, draw(levels)) for text in draw(st.lists(texts, max_size=3))),
    )


def small_table() -> Table:
    """Return a table with every kind of cell."""

    def row(name: str, calls: int | None, cost: str | None, share: float, note: str = "") -> Row:
        level = "error" if cost is None else "normal"
        amount = None if cost is None else Decimal(cost)
        bar = Bar((BarPart(share, "spent"), BarPart(share / 2, "held", "good", True)), f"{share:.0%} spent")
        return Row(
            (
                Cell(name),
                Cell(calls),
                Cell(amount, level, note=note, note_level="error"),
                Cell(share),
                Cell(bar),
            )
        )

    return Table(
        title="Spending",
        subtitle="today",
        figures=(Figure("Cost", Cell(Decimal("12.3456"), note="+1 unpriced", note_level="error"), "money"),),
        columns=(
            Column(title=""),
            Column(title="Calls", kind="count", priority=1),
            Column(title="Cost", kind="money", strong=True),
            Column(title="Share", kind="percent", part=True, priority=3),
            Column(title="Bar", kind="bar", priority=2),
        ),
        groups=(
            Group("Model", (row("gpt-4o", 12_345, "12.3456", 0.6), row("acme", None, None, 0.0))),
            Group("User", (row("ada", 0, "0.000042", 0.25, "+1 unpriced"),)),
        ),
        footer=row("Total", 12_345, "12.345642", 0.5),
        notices=(Notice("one call has no price", "error"), Notice("prices of today")),
    )
