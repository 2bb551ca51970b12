"""What every ledger does to a record at its door, so that all of them keep the same thing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from decimal import Decimal
from typing import TypeVar

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger._calendar import to_us
from tokenomics_core.ledger._money import from_pico, to_pico
from tokenomics_core.types import Attribution, SpendRecord, Usage

__all__ = ["COUNTS", "Entry", "admit", "anonymous", "storable"]

COUNTS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
"""The counts that are summed, as `Totals` names them."""

_T = TypeVar("_T", str, str | None)
_MAX_TOKENS = 10**12
_LATER = "nothing was recorded"


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as a ledger keeps it, with its instant and amounts as whole numbers."""

    record: SpendRecord
    at_us: int
    cost_pico: int | None
    avoided_pico: int | None


def admit(record: SpendRecord, *, keep_content: bool) -> Entry:
    """Bring a record into the form that is kept.

    Amounts are rounded to 10^-12 USD, half to even; the time is kept in UTC; content is dropped unless
    it is to be kept; characters that no database holds (NUL, lone surrogates) become U+FFFD.

    Raises:
        ConfigurationError: An amount or count is beyond what can be summed exactly, a text is no string, or
            this is no record at all.
    """
    if not isinstance(record, SpendRecord):
        raise ConfigurationError(f"a ledger takes a SpendRecord, not {record!r:.80}; {_LATER}")
    record = _without_unstorable_text(record)
    _check_counts(record.usage)
    cost = None if record.cost_usd is None else to_pico(record.cost_usd, "cost_usd")
    avoided = None if record.avoided_usd is None else to_pico(record.avoided_usd, "avoided_usd")
    cost_usd, avoided_usd = _rounded(record.cost_usd, cost), _rounded(record.avoided_usd, avoided)
    content = record.content if keep_content else None
    if (
        cost_usd is not record.cost_usd
        or avoided_usd is not record.avoided_usd
        or content is not record.content
        or record.at.tzinfo is not UTC
    ):
        at = record.at.astimezone(UTC)
        record = replace(record, at=at, cost_usd=cost_usd, avoided_usd=avoided_usd, content=content)
    return Entry(record, to_us(record.at), cost, avoided)


def anonymous(record: SpendRecord) -> SpendRecord:
    """Return a record that still counts but no longer tells whose it was.

    User, conversation, run, tags and content go; amounts, model, feature and project stay.
    """
    whose = Attribution(feature=record.attribution.feature, project=record.attribution.project)
    return replace(record, attribution=whose, content=None)


def _rounded(amount_usd: Decimal | None, pico: int | None) -> Decimal | None:
    if amount_usd is None or pico is None:
        return None
    kept = from_pico(pico)
    return amount_usd if kept == amount_usd else kept


def _check_counts(usage: Usage) -> None:
    for name in COUNTS:
        value = getattr(usage, name)
        if value is not None and value > _MAX_TOKENS:
            raise ConfigurationError(f"{name} must be at most {_MAX_TOKENS}, not {value}; {_LATER}")


def _without_unstorable_text(record: SpendRecord) -> SpendRecord:
    who = record.attribution
    texts = (
        *(record.id, record.model, record.price_source, record.source, record.operation, record.outcome),
        *(record.provider or "", record.avoided_by or "", record.content or "", *record.notes),
        *(who.user or "", who.feature or "", who.project or "", who.conversation or "", who.run or ""),
        *(*who.tags, *who.tags.values()),
    )
    try:
        if _is_storable("".join(texts)):
            return record
    except TypeError as error:
        raise ConfigurationError(f"the texts of a record must be strings: {error}; {_LATER}") from error
    return replace(
        record,
        id=storable(record.id),
        model=storable(record.model),
        price_source=storable(record.price_source),
        operation=storable(record.operation),
        provider=storable(record.provider),
        avoided_by=storable(record.avoided_by),
        content=storable(record.content),
        notes=tuple(storable(note) for note in record.notes),
        attribution=_storable_attribution(who),
    )


def _storable_attribution(who: Attribution) -> Attribution:
    return Attribution(
        user=storable(who.user),
        feature=storable(who.feature),
        project=storable(who.project),
        conversation=storable(who.conversation),
        run=storable(who.run),
        tags={storable(key): storable(value) for key, value in who.tags.items()},
    )


def _is_storable(text: str) -> bool:
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: _T) -> _T:
    """Return a text with U+FFFD for what no database holds."""
    if text is None or _is_storable(text):
        return text
    return "".join("\ufffd" if char == "\0" or "\ud800" <= char <= "\udfff" else char for char in text)
