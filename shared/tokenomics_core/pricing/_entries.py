"""Prices that people write down: amounts by kind of token, checked, turned into rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing._rates import EXACT, Rate, Sheet
from tokenomics_core.pricing._units import KINDS, load_units

__all__ = ["read_amount", "read_sheet", "read_start", "with_joins"]

_PARENTS = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_5m": "cache_write",
    "cache_write_1h": "cache_write",
    "reasoning": "output",
    "citation": "output",
    "input_audio": "input",
    "output_audio": "output",
    "cache_read_audio": "input_audio",
    "input_image": "input",
    "output_image": "output",
    "cache_read_image": "input_image",
    "input_video": "input",
    "output_video": "output",
}
_REQUESTS_PER = 1000


def read_amount(value: object, where: str) -> Decimal:
    """Read an amount of 0 or more; a float counts as the digits it is printed with.

    Raises:
        ConfigurationError: It is negative, not finite, or no number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise ConfigurationError(f"{where} must be a number, not {value!r}; no price was set")
    try:
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation as problem:
        raise ConfigurationError(f"{where} must be a number, not {value!r}; no price was set") from problem
    if not amount.is_finite() or amount < 0:
        raise ConfigurationError(f"{where} must be 0 or more and finite, not {value!r}; no price was set")
    return amount


def read_start(value: object, where: str) -> datetime | None:
    """Read the instant from which a price holds: a day (its midnight in UTC) or a time with a zone.

    Raises:
        ConfigurationError: It is neither.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = (
                date.fromisoformat(value)
                if len(value) == len("2026-01-31")
                else datetime.fromisoformat(value)
            )
        except ValueError as problem:
            raise ConfigurationError(f"{where} must be a date, not {value!r}; no price was set") from problem
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ConfigurationError(f"{where} needs a time zone, not {value!r}; no price was set")
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ConfigurationError(f"{where} must be a date, not {value!r}; no price was set")


def read_sheet(entry: Mapping[str, Any], where: str, *, partial: bool = False) -> Sheet:
    """Turn prices in USD per million tokens by kind into rates.

    Args:
        entry: Kinds of token, and `tiers` (a list of tables with `above` and kinds), `requests` (USD per
            request), `units` (USD for one of any other unit by genai-prices' name); other keys are not
            looked at.
        where: What an error calls the entry.
        partial: Whether a part may be priced without its whole, as in prices that are laid over others.

    Raises:
        ConfigurationError: An amount, a tier or a combination is wrong, or there is no price at all.
    """
    bases = {
        kind: read_amount(entry[kind], f"{where}.{kind}") for kind in KINDS if entry.get(kind) is not None
    }
    steps = _read_tiers(entry.get("tiers") or [], bases, where)
    for kind in () if partial else bases:
        parent = _PARENTS.get(kind)
        if parent is not None and parent not in bases:
            raise ConfigurationError(
                f"{where} has a price for {kind} but none for {parent}; no price was set"
            )
    sheet = {KINDS[kind]: Rate(base, tuple(steps.get(kind, ()))) for kind, base in bases.items()}
    if entry.get("requests") is not None:
        fee_usd = read_amount(entry["requests"], f"{where}.requests")
        sheet["requests"] = Rate(EXACT.multiply(fee_usd, Decimal(_REQUESTS_PER)))
    sheet.update(_read_units(entry.get("units") or {}, where))
    if not sheet:
        raise ConfigurationError(f"{where} has no price; give at least one of {', '.join(KINDS)}")
    return sheet


def _read_tiers(
    tiers: object, bases: Mapping[str, Decimal], where: str
) -> dict[str, list[tuple[int, Decimal]]]:
    if not isinstance(tiers, Sequence) or isinstance(tiers, str):
        raise ConfigurationError(f"{where}.tiers must be a list, not {tiers!r}; no price was set")
    steps: dict[str, list[tuple[int, Decimal]]] = {}
    for tier in tiers:
        if not isinstance(tier, Mapping) or not _is_threshold(tier.get("above")):
            raise ConfigurationError(
                f"{where}.tiers needs tables with a whole number 'above', not {tier!r}; no price was set"
            )
        for kind in set(tier) - {"above"}:
            if kind not in bases:
                raise ConfigurationError(
                    f"{where}.tiers has a price for {kind} but {where} has none; no price was set"
                )
            price = read_amount(tier[kind], f"{where}.tiers.{kind}")
            steps.setdefault(kind, []).append((tier["above"], price))
    return {kind: sorted(found) for kind, found in steps.items()}


def _is_threshold(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _read_units(units: object, where: str) -> dict[str, Rate]:
    if not isinstance(units, Mapping):
        raise ConfigurationError(f"{where}.units must be a table, not {units!r}; no price was set")
    sheet: dict[str, Rate] = {}
    for key, value in units.items():
        known = load_units()
        if key not in known or key in {*KINDS.values(), "requests"}:
            raise ConfigurationError(
                f"{where}.units does not know {key!r}; it takes what genai-prices bills besides tokens, "
                "such as web_searches or audio_seconds"
            )
        per_unit_usd = read_amount(value, f"{where}.units.{key}")
        sheet[key] = Rate(EXACT.multiply(per_unit_usd, Decimal(known[key].per)))
    return sheet


def with_joins(sheet: Sheet) -> Sheet:
    """Price what is two priced things at once, such as cached audio, at the dearer of the two.

    Without that, one token would be charged twice or the sum of parts would exceed the whole.
    """
    known = load_units()
    filled = dict(sheet)
    by_dimensions = {unit.dimensions: unit for unit in known.values()}
    priced = [known[key] for key in sheet]
    for index, left in enumerate(priced):
        for right in priced[index + 1 :]:
            if left.includes(right) or right.includes(left) or not left.is_compatible_with(right):
                continue
            join = by_dimensions.get(left.dimensions | right.dimensions)
            if join is not None and join.key not in filled:
                filled[join.key] = max(sheet[left.key], sheet[right.key], key=lambda rate: rate.base)
    return filled
