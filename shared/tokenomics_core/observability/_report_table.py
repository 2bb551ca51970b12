"""A report's records as a table: sections, sums, bars, and what is uncertain about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal

from tokenomics_core.observability._report_lines import COUNTS, Line, sum_lines
from tokenomics_core.rendering import (
    Bar,
    BarPart,
    Cell,
    Column,
    Figure,
    Group,
    Notice,
    Row,
    Table,
    format_count,
    format_percent,
    shorten,
)
from tokenomics_core.types import SpendRecord

__all__ = ["report_table"]

_MAX_NOTES = 4
_MAX_NAMES = 5
_MAX_NAME_WIDTH = 200
_MAX_NOTE_WIDTH = 1000
_OLD_PRICES = "This price data is old; newer comes with a newer genai-prices or PriceBook.update()."
_ADD_PRICES = "Add prices with PriceBook(overrides=...), or name the model with PriceBook(aliases=...)."


def report_table(
    records: Sequence[SpendRecord],
    *,
    title: str,
    by: Sequence[str],
    price_data: str | None,
    is_stale: bool,
    max_rows: int,
) -> Table:
    """Lay out records as one section per dimension; a dimension that no record has a value in is left out."""
    whole, sections = sum_lines(records, by, max_rows)
    shown = [(name, lines) for name, lines in sections if any(line.name for line in lines)]
    lines = [whole, *(line for _, group in shown for line in group)]
    spread = _Spread.of(lines)
    groups = tuple(
        Group(_heading(name), tuple(_row(line, name, spread, group) for line in group))
        for name, group in shown
    )
    return Table(
        title=title,
        subtitle=_period(records),
        figures=_figures(whole),
        columns=_columns(spread),
        groups=groups,
        footer=_row(whole, "", spread, []) if records else None,
        notices=tuple(_notices(records, whole, price_data, is_stale=is_stale)),
    )


@dataclass(frozen=True, slots=True)
class _Spread:
    """Which columns have anything to show."""

    hits: bool
    avoided: bool

    @classmethod
    def of(cls, lines: Iterable[Line]) -> _Spread:
        totals = [line.totals for line in lines]
        return cls(any(one.cached_calls for one in totals), any(one.avoided_usd for one in totals))


# -- cells -------------------------------------------------------------------


def _columns(spread: _Spread) -> tuple[Column, ...]:
    columns = [Column(title=""), Column(title="Calls", kind="count", priority=1)]
    if spread.hits:
        columns.append(Column(title="from cache", kind="count", part=True, priority=7))
    columns += [
        Column(title="Tokens in", kind="count", priority=1),
        Column(title="cached", kind="count", part=True, priority=3),
        Column(title="written", kind="count", part=True, priority=6),
        Column(title="out", kind="count", priority=1),
        Column(title="reasoning", kind="count", part=True, priority=5),
        Column(title="Cost", kind="money", strong=True),
    ]
    if spread.avoided:
        columns.append(Column(title="Avoided", kind="money", priority=2))
    return (*columns, Column(title="Share", kind="bar", priority=4))


def _row(line: Line, dimension: str, spread: _Spread, section: Sequence[Line]) -> Row:
    totals = line.totals
    cells = [_name(line, dimension), Cell(totals.calls)]
    if spread.hits:
        cells.append(Cell(totals.cached_calls))
    cells += [_count(line, name) for name in COUNTS]
    cells.append(_cost(line))
    if spread.avoided:
        cells.append(_avoided(line))
    return Row((*cells, _bar(line, section)))


def _name(line: Line, dimension: str) -> Cell:
    if line.name:
        hint = (
            f"{_short(line.name)} · price: {_some(line.sources)}"
            if dimension == "model" and line.sources
            else ""
        )
        return Cell(_short(line.name), level="muted" if line.is_rest else "normal", hint=hint)
    return Cell(f"no {_words(dimension)}", level="muted")


def _count(line: Line, name: str) -> Cell:
    if name in line.unknown:
        return Cell(None, level="muted", hint="not reported")
    value: int = getattr(line.totals, name)
    marked = line.totals.estimated_calls > 0 and name in {"input_tokens", "output_tokens"} and value > 0
    return Cell(value, estimated=marked)


def _cost(line: Line) -> Cell:
    totals = line.totals
    if not line.is_priced:
        return Cell(None, level="error", hint=_unpriced_hint(line))
    note = f"+{totals.unpriced_calls:,} unpriced" if totals.unpriced_calls else ""
    hint = _unpriced_hint(line) if note else ""
    marked = totals.estimated_calls > 0 and totals.cost_usd > 0
    return Cell(totals.cost_usd, estimated=marked, note=note, note_level="error", hint=hint)


def _avoided(line: Line) -> Cell:
    if not line.knows_avoided:
        return Cell("")
    return Cell(line.totals.avoided_usd, level="good" if line.totals.avoided_usd > 0 else "normal")


def _unpriced_hint(line: Line) -> str:
    models = [_short(name) for name in line.unpriced_models[: _MAX_NAMES + 1]]
    more = line.unpriced_models[_MAX_NAMES + 1 :]
    return f"{_calls(line.totals.unpriced_calls)} without a price: {_some([*models, *more])}"


def _bar(line: Line, section: Sequence[Line]) -> Cell:
    longest = max((other.weight_usd for other in section), default=Decimal(0))
    if not longest or line.weight_usd == 0:
        return Cell("")
    whole = sum(max(other.totals.cost_usd, Decimal(0)) for other in section)
    cost, avoided = max(line.totals.cost_usd, Decimal(0)), max(line.totals.avoided_usd, Decimal(0))
    label = f"{format_percent(float(cost / whole))} of the cost" if whole else ""
    parts = [BarPart(float(cost / longest), "cost")]
    if avoided:
        parts.append(BarPart(float(avoided / longest), "avoided", "good", hatched=True))
        label = ", ".join(
            filter(None, (label, f"{format_percent(float(avoided / line.weight_usd))} avoided"))
        )
    return Cell(Bar(tuple(parts), label))


# -- above and below ---------------------------------------------------------


def _figures(whole: Line) -> tuple[Figure, ...]:
    totals = whole.totals
    figures = [Figure("Cost", _cost(whole), "money")]
    if totals.avoided_usd:
        share = float(totals.avoided_usd / whole.weight_usd) if whole.weight_usd else 0.0
        note = format_percent(share) if totals.avoided_usd > 0 else ""
        figures.append(Figure("Avoided", Cell(totals.avoided_usd, level="good", note=note), "money"))
    hits = f"{totals.cached_calls:,} from cache" if totals.cached_calls else ""
    figures.append(Figure("Calls", Cell(totals.calls, note=hits), "count"))
    if totals.calls:
        figures += [
            _token_figure("Tokens in", whole, "input_tokens"),
            _token_figure("Tokens out", whole, "output_tokens"),
        ]
    return tuple(figures)


def _token_figure(label: str, whole: Line, name: str) -> Figure:
    cell = _count(whole, name)
    if cell.value is None or name != "input_tokens" or not whole.totals.cache_read_tokens:
        return Figure(label, cell, "count")
    share = format_percent(whole.totals.cache_read_tokens / max(1, whole.totals.input_tokens))
    return Figure(label, Cell(cell.value, estimated=cell.estimated, note=f"{share} cached"), "count")


def _period(records: Sequence[SpendRecord]) -> str:
    if not records:
        return ""
    times = [record.at for record in records]
    first, last = min(times).astimezone(UTC), max(times).astimezone(UTC)
    start, end = f"{first:%Y-%m-%d %H:%M}", f"{last:%Y-%m-%d %H:%M}"
    if start == end:
        return f"{start} UTC"
    return f"{start} – {end[11:] if start[:10] == end[:10] else end} UTC"  # noqa: RUF001 - a dash for from-to


def _notices(
    records: Sequence[SpendRecord], whole: Line, price_data: str | None, *, is_stale: bool
) -> Iterable[Notice]:
    totals = whole.totals
    if not records:
        yield Notice("No calls recorded yet.")
    if totals.unpriced_calls:
        not_counted = "is not in the cost" if totals.unpriced_calls == 1 else "are not in the cost"
        who = _counted(Counter(record.model for record in records if record.cost_usd is None))
        subject = f"{_calls(totals.unpriced_calls)} without a price"
        yield Notice(f"{subject} {not_counted}: {who}. {_ADD_PRICES}", "error")
    if totals.estimated_calls:
        are = "is an estimate" if totals.estimated_calls == 1 else "are estimates"
        subject = f"{_calls(totals.estimated_calls)} {are} (~)"
        yield Notice(f"{subject}: the provider reported no complete usage.")
    unfinished = Counter(str(record.outcome) for record in records if record.outcome != "ok")
    if unfinished:
        yield Notice(f"{_calls(sum(unfinished.values()))} did not finish: {_counted(unfinished)}.")
    yield from _notes(records)
    yield from _price_line(records, price_data)
    if is_stale:
        yield Notice(_OLD_PRICES, "warning")


def _notes(records: Sequence[SpendRecord]) -> Iterable[Notice]:
    notes = Counter(note for record in records for note in _told(record))
    for note, count in notes.most_common(_MAX_NOTES):
        yield Notice(f"{shorten(note, _MAX_NOTE_WIDTH)} ({_calls(count)})")
    if len(notes) > _MAX_NOTES:
        yield Notice(f"and {len(notes) - _MAX_NOTES} more notes; see the records")


def _told(record: SpendRecord) -> Iterable[str]:
    """Return a record's notes; where they tell why it has no price, with the model that has none."""
    notes = dict.fromkeys(record.notes)
    return notes if record.cost_usd is not None else [f"{_short(record.model)}: {note}" for note in notes]


def _price_line(records: Sequence[SpendRecord], price_data: str | None) -> Iterable[Notice]:
    """Name the data that most prices are from, and what else there was."""
    paid = (record for record in records if record.source != "cache" and record.cost_usd is not None)
    others = Counter(record.price_source.partition(": ")[0] for record in paid)
    if price_data is None:
        if others:
            yield Notice(f"Prices: {_some(list(others))}")
        return
    for name in [name for name in others if price_data.startswith(name)]:
        del others[name]
    also = f"; also {_counted(others)}" if others else ""
    yield Notice(f"Prices: {price_data}{also}")


def _calls(count: int) -> str:
    return f"{format_count(count)} call{'' if count == 1 else 's'}"


def _counted(names: Counter[str]) -> str:
    return _some(
        [_short(name) if count == 1 else f"{_short(name)} ({count:,})" for name, count in names.most_common()]
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more


def _short(name: str) -> str:
    """Cut what is too long to be a name, such as a prompt that was passed as one."""
    return shorten(name, _MAX_NAME_WIDTH)


def _words(dimension: str) -> str:
    return dimension.replace("_", " ")


def _heading(dimension: str) -> str:
    words = _words(dimension)
    return words[:1].upper() + words[1:]
