"""Amounts, counts and names as people read them."""

from __future__ import annotations

import unicodedata
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

from tokenomics_core.rendering._table import Bar, Cell, Kind

__all__ = [
    "UNKNOWN_COUNT",
    "UNPRICED",
    "decimals_of",
    "display_width",
    "format_cell",
    "format_count",
    "format_percent",
    "format_usd",
    "shorten",
    "take_columns",
    "visible",
]

UNPRICED = "unpriced"
UNKNOWN_COUNT = "–"  # noqa: RUF001 - an en dash is what a table shows for nothing known
_MINUS = "\N{MINUS SIGN}"
_SMALLEST_USD = Decimal("1e-12")
_SIGNIFICANT = 3
# Overrides of the reading order, and characters that are there without being seen.
_INVISIBLE = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u00ad\u200b\u2060\ufeff"
)
# Not the ambient context: a caller may have set a low precision, and a bill does not depend on that.
_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)


def format_usd(amount: Decimal | float | None) -> str:
    """Write an amount of USD with the digits that matter.

    From a dollar on to the cent, from a cent on to a hundredth of one, below that three significant digits;
    zeros that an exact amount does not need are left out: `$1,234.56`, `$0.0123`, `$0.50`, `$0.000042`.
    Nothing is `$0`, and unknown is `unpriced`.
    """
    if amount is None:
        return UNPRICED
    exact = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    if not exact.is_finite():
        return str(exact)
    sign, size = (_MINUS if exact < 0 else ""), _EXACT.abs(exact)
    if size == 0:
        return "$0"
    if size < _SMALLEST_USD:
        return f"{sign}<${_SMALLEST_USD:f}"
    return f"{sign}${_digits(size)}"


def _digits(size: Decimal) -> str:
    if size >= 1:
        places = 2
    elif size >= Decimal("0.01"):
        places = 4
    else:
        places = _SIGNIFICANT - 1 - size.adjusted()
    rounded = _EXACT.quantize(size, Decimal(1).scaleb(-places))
    whole, _, fraction = f"{rounded:,f}".partition(".")
    if rounded == size:
        fraction = fraction.rstrip("0").ljust(2, "0")
    return f"{whole}.{fraction}"


def format_count(count: int | None, *, compact: bool = False) -> str:
    """Write a whole number with thousands separators, or to three digits with k, M, B; unknown is a dash."""
    if count is None:
        return UNKNOWN_COUNT
    size = abs(count)
    if not compact or size < 10_000:
        return f"{count:,}".replace("-", _MINUS)
    scaled, unit = float(size), ""
    for suffix in ("k", "M", "B", "T"):
        scaled, unit = scaled / 1000, suffix
        if float(f"{scaled:.3g}") < 1000:
            break
    digits = f"{scaled:.0f}" if scaled >= 100 else f"{scaled:.3g}"
    return f"{_MINUS if count < 0 else ''}{digits}{unit}"


def format_percent(share: float | None) -> str:
    """Write a share of 1 in per cent, to a tenth below ten; unknown is a dash."""
    if share is None:
        return UNKNOWN_COUNT
    percent = share * 100
    if percent == 0:
        return "0%"
    sign, size = (_MINUS if percent < 0 else ""), abs(percent)
    if size < 0.1:
        return f"{sign}<0.1%"
    places = 0 if size >= 9.95 or round(size, 1) == int(size) else 1
    return f"{sign}{size:.{places}f}%"


def format_cell(cell: Cell, kind: Kind, *, compact: bool = False) -> str:
    """Write a cell's value; the bar itself is left to the renderer."""
    value = cell.value
    if isinstance(value, Bar):
        return ""
    if value is None:
        return UNPRICED if kind == "money" else UNKNOWN_COUNT
    text = visible(value) if isinstance(value, str) else _format_number(value, kind, compact=compact)
    return f"~{text}" if cell.estimated and text else text


def _format_number(value: float | Decimal, kind: Kind, *, compact: bool) -> str:
    if kind == "money":
        return format_usd(value)
    if kind == "count":
        return format_count(int(value), compact=compact)
    return format_percent(float(value)) if kind == "percent" else str(value)


def decimals_of(cell: Cell, kind: Kind) -> str:
    """Return what stands from the decimal point on, where cells of a column are to be aligned at it."""
    if kind != "money" or cell.value is None or isinstance(cell.value, str | Bar):
        return ""
    _, point, fraction = format_usd(cell.value).partition(".")
    return point + fraction


def shorten(text: str, width: int) -> str:
    """Cut a name in its middle so that it takes at most so many columns; both ends tell models apart."""
    if display_width(text) <= width:
        return text
    if width <= 1:
        return "…" if width == 1 else ""
    tail_width = (width - 1) // 2
    head = take_columns(text, width - 1 - tail_width)
    tail = take_columns(text[::-1], tail_width)[::-1]
    while tail and unicodedata.combining(tail[0]):
        tail = tail[1:]
    return f"{head}…{tail}"


def take_columns(text: str, width: int) -> str:
    """Return as much of a text's beginning as a terminal shows in so many columns."""
    used = 0
    for index, char in enumerate(text):
        used += _char_width(char)
        if used > width:
            return text[:index]
    return text


def display_width(text: str) -> int:
    """Count the columns that a terminal gives to a text."""
    return len(text) if text.isascii() else sum(_char_width(char) for char in text)


@lru_cache(maxsize=4096)
def _char_width(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def visible(text: str) -> str:
    """Replace what would disturb a page or a terminal: control codes, order overrides, half characters."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible_char(char) for char in text)


def _visible_char(char: str) -> str:
    if char.isprintable():
        return char
    if char in _INVISIBLE:
        return ""
    if char.isspace():
        return " "
    category = unicodedata.category(char)
    unreadable = category in {"Cc", "Cs"} or ord(char) & 0xFFFE == 0xFFFE
    return "\N{REPLACEMENT CHARACTER}" if unreadable else char
