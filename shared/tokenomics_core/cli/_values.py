"""Arguments of the command line as values, each refused in words."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger import start_of_day, zone_named

__all__ = [
    "When",
    "age",
    "check_zone",
    "count",
    "existing_file",
    "instant",
    "ledger_place",
    "names",
    "pair",
    "pairs",
    "when",
]

When = Callable[[datetime, str], datetime]
"""Turns the present time and the name of a zone into an instant."""

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_AGE = re.compile(r"(\d{1,6})([hdw])")
_RESERVED = {"since", "until", "bucket", "timezone", "dimension"}


def existing_file(text: str) -> Path:
    """Return the path of a file that is there, so that a slip of the pen makes no new ledger."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    return path


def ledger_place(text: str) -> str:
    """Return the address of a database, or the path of a file that is there."""
    return text if text.startswith(("postgres://", "postgresql://")) else str(existing_file(text))


def age(text: str) -> timedelta:
    """Read `90d`, `12h` or `4w`."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 90d, 12h or 4w")
    return int(match[1]) * _UNITS[match[2]]


def when(text: str) -> When:
    """Read a date (its first instant), a time, or an age counted back from now."""
    if _AGE.fullmatch(text.strip()):
        return lambda now, _: now - age(text)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        pass
    else:
        return lambda _, timezone: start_of_day(day, timezone)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date (2026-11-03), time (2026-11-03T12:00) or age (7d)"
        ) from error
    return lambda _, timezone: at if at.tzinfo is not None else at.replace(tzinfo=zone_named(timezone))


def instant(given: When | None, now: datetime, timezone: str) -> datetime | None:
    """Return what an argument means now."""
    return None if given is None else given(now, timezone)


def names(text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name in it")
    return found


def pair(text: str) -> tuple[str, str]:
    """Read `name=value`; an empty value asks for records without one."""
    name, equals, value = text.partition("=")
    if not equals or not name or name in _RESERVED:
        raise argparse.ArgumentTypeError(f"{text!r} is no filter such as user=ada")
    return name, value


def pairs(text: str) -> dict[str, str]:
    """Read `name=value` with commas between them."""
    found = [part.strip().partition("=") for part in text.split(",")]
    if not all(name and equals and value for name, equals, value in found):
        raise argparse.ArgumentTypeError(f"{text!r} is no mapping such as date=Day,cost_usd=Amount")
    return {name: value for name, _, value in found}


def count(text: str) -> int:
    """Read a whole number of tokens; `12k` and `1.5M` are understood."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kM]?)", text.replace("_", "").replace(",", ""))
    number = Decimal(match[1]) * {"": 1, "k": 10**3, "M": 10**6}[match[2]] if match else Decimal("0.5")
    if number != int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no count of tokens such as 1200, 12k or 1.5M")
    return int(number)


def check_zone(name: str) -> str:
    """Return the name of a zone that exists."""
    try:
        zone_named(name)
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name
