"""Every price that one model has had, and the compiled table of a given time and request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from tokenomics_core.pricing._calendar import ALWAYS, Calendar, Window
from tokenomics_core.pricing._rates import Rate, Sheet
from tokenomics_core.pricing._table import Table
from tokenomics_core.pricing._text import Label
from tokenomics_core.types import Cost, Usage

__all__ = ["BatchRule", "Offer", "Schedule", "Variant", "request_context"]

_MAX_TABLES = 256
_UNREMARKABLE = frozenset({"standard", "default", "auto", "standard_only", "on_demand"})
"""Service tiers without a price of their own by nature; asking for one needs no remark."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Rates that replace some of an offer's where a request has certain properties.

    Attributes:
        when: What the request's context must say; empty applies to every request.
        window: When the rates hold.
        sheet: The rates that change.
        source: Named in addition to the offer's source, where it is another.
    """

    when: Mapping[str, str]
    window: Window
    sheet: Sheet
    source: str | None = None


@dataclass(frozen=True, slots=True)
class BatchRule:
    """The discount on batches before price data had batch prices by date.

    Attributes:
        window: When the discount was offered.
        factor: What a standard price is multiplied by.
        source: Where that was published.
    """

    window: Window
    factor: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class Offer:
    """One price of a model, and when it holds.

    Attributes:
        sheet: The rates; None where it is known that no price is known.
        source: Where they came from.
        window: When they hold.
        price_date: The day they took effect, where the data tells.
        variants: Rates for special requests; the first that applies to a unit wins.
        own: Whether it is the user's own price, to which discounts do not apply.
        notes: Remarks for every cost.
    """

    sheet: Sheet | None
    source: str
    window: Window = ALWAYS
    price_date: date | None = None
    variants: tuple[Variant, ...] = ()
    own: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Choice:
    """What holds at a time for a request: the offer, its rates as changed, and remarks."""

    offer: Offer
    sheet: dict[str, Rate]
    sources: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_ORDINARY = Usage()


class Schedule:
    """All offers of one model, compiled on demand.

    Where the time of a call does not matter (`is_constant`), `constant` prices usages of ordinary requests;
    it is None where no price is known.

    Args:
        model: The model as the price data names it.
        provider: The provider whose price it is.
        offers: The last whose window is open holds.
        fallback: Whether the first offer holds where no window is open, as in genai-prices.
        batch_rule: How batches were discounted before the offers say so.
        discount: What a price that is not the user's own is multiplied by.
        guarded: See `Table`.
        minimum_audio_s: See `Table`.
        notes: Remarks for every cost.
    """

    def __init__(
        self,
        model: str,
        provider: str | None,
        offers: Sequence[Offer],
        *,
        fallback: bool = False,
        batch_rule: BatchRule | None = None,
        discount: Decimal | None = None,
        guarded: bool = True,
        minimum_audio_s: int = 0,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.model, self.provider = model, provider
        self._offers, self._fallback, self._batch_rule = tuple(offers), fallback, batch_rule
        self._discount, self._guarded, self._minimum_audio_s = discount, guarded, minimum_audio_s
        self.notes = notes
        windows = [offer.window for offer in offers]
        windows += [variant.window for offer in offers for variant in offer.variants]
        self._calendar = Calendar([*windows, *([batch_rule.window] if batch_rule else [])])
        self._tables: dict[object, Table | None] = {}
        self._standard: tuple[datetime, datetime, Callable[[Usage], Cost]] | None = None
        self.is_constant = self._calendar.is_constant
        constant = self._compile({}, None) if self.is_constant else None
        self.constant: Callable[[Usage], Cost] | None = constant.cost if constant is not None else None

    def standard_cost(self, usage: Usage, at: datetime) -> Cost | None:
        """Price a usage of an ordinary request at a time, which must be in UTC; None where no price is known.

        Calls come mostly at about the same time, so the last prices used are tried before any look-up.
        """
        standard = self._standard
        if standard is not None and standard[0] <= at < standard[1]:
            return standard[2](usage)
        table = self.table(_ORDINARY, at)
        if table is None:
            return None
        self._standard = (*self._calendar.span(at), table.cost)
        return table.cost(usage)

    def table(self, usage: Usage, at: datetime | None) -> Table | None:
        """Return the prices for a request at a time, which must be in UTC; None where none is known.

        The time may be left out where `is_constant`.
        """
        context = tuple(sorted(usage.context.items())) if usage.context else ()
        moment = self._calendar.moment(at) if at is not None else None
        key = (moment, usage.service_tier, usage.batch, context)
        try:
            return self._tables[key]
        except KeyError:
            table = self._compile(request_context(usage), at)
        if len(self._tables) < _MAX_TABLES:
            self._tables[key] = table
        return table

    def why_none(self, at: datetime | None) -> str:
        """Say why `table` knows no price."""
        offer = next((offer for offer in reversed(self._offers) if _holds(offer.window, at)), None)
        return (
            "; ".join(offer.notes) if offer is not None and offer.notes else "no price is known for that time"
        )

    def changes_between(self, first: datetime, last: datetime) -> list[datetime]:
        """Return the instants in (first, last] at which a price may change, in UTC."""
        return self._calendar.changes_between(first, last)

    def _compile(self, context: Mapping[str, str], at: datetime | None) -> Table | None:
        choice = self._choose(context, at)
        if choice is None:
            return None
        offer, sheet, sources = choice.offer, choice.sheet, choice.sources
        if self._discount is not None and not offer.own:
            sheet = {key: rate.times(self._discount) for key, rate in sheet.items()}
            sources = [*sources, f"times {self._discount:f} as negotiated"]
        label = Label(
            model=self.model,
            provider=self.provider,
            source=", ".join([offer.source, *sources]),
            price_date=offer.price_date,
            notes=(*self.notes, *offer.notes, *choice.notes),
        )
        return Table(
            sheet, label, guarded=self._guarded, own=offer.own, minimum_audio_s=self._minimum_audio_s
        )

    def _choose(self, context: Mapping[str, str], at: datetime | None) -> _Choice | None:
        offer = next((offer for offer in reversed(self._offers) if _holds(offer.window, at)), None)
        if offer is None and self._fallback:
            offer = self._offers[0]
        if offer is None or offer.sheet is None:
            return None
        choice = _Choice(offer, dict(offer.sheet))
        matched = self._apply_variants(choice, context, at)
        if context.get("processing") == "batch" and ("processing", "batch") not in matched:
            matched |= self._apply_batch_rule(choice, at)
        choice.notes.extend(_remarks(context, matched))
        return choice

    def _apply_variants(
        self, choice: _Choice, context: Mapping[str, str], at: datetime | None
    ) -> set[tuple[str, str]]:
        """Lay over the offer what its variants say; return the properties of the request that they honour."""
        changed: dict[str, Rate] = {}
        matched: set[tuple[str, str]] = set()
        for variant in choice.offer.variants:
            if not _holds(variant.window, at) or not _applies(variant.when, context):
                continue
            if ignored := {key for key, rate in variant.sheet.items() if changed.get(key, rate) != rate}:
                choice.notes.append(_overruled(variant, matched, partly=len(ignored) < len(variant.sheet)))
            matched |= set(variant.when.items())
            for key, rate in variant.sheet.items():
                changed.setdefault(key, rate)
            if variant.source is not None:
                choice.sources.append(variant.source)
        choice.sheet.update(changed)
        choice.sources[:0] = [
            f"{name}={value}" for name, value in sorted(matched) if value not in _UNREMARKABLE
        ]
        return matched

    def _apply_batch_rule(self, choice: _Choice, at: datetime | None) -> set[tuple[str, str]]:
        rule, later = self._batch_rule, self._later_batch(choice.offer, at)
        if rule is None or later is None or not _holds(rule.window, at):
            return set()
        variant, standard = later
        for key, rate in variant.sheet.items():
            if key not in choice.sheet:
                continue
            if choice.sheet[key] == standard.get(key):
                choice.sheet[key] = rate
            elif key in standard and rate.base < standard[key].base:
                choice.sheet[key] = choice.sheet[key].times(rule.factor)
        choice.sources.append(rule.source)
        return {("processing", "batch")}

    def _later_batch(self, offer: Offer, at: datetime | None) -> tuple[Variant, Sheet] | None:
        """Return the first batch price published after a time, and the standard price of that day."""
        later = [
            (variant.window.start, index)
            for index, variant in enumerate(offer.variants)
            if variant.when == {"processing": "batch"} and variant.window.start is not None
            if at is not None and at < variant.window.start
        ]
        if not later:
            return None
        start, index = min(later)
        then = self._choose({}, start)
        return (offer.variants[index], then.sheet) if then is not None else None


def _holds(window: Window, at: datetime | None) -> bool:
    return window == ALWAYS if at is None else window.is_open(at)


def _applies(when: Mapping[str, str], context: Mapping[str, str]) -> bool:
    return all(context.get(name) == value for name, value in when.items())


def request_context(usage: Usage) -> dict[str, str]:
    """Say in genai-prices' words what about a request changes its price.

    A tier called `fast` is a `speed` at Anthropic and a `service_tier` elsewhere; Anthropic reports a batch
    as a tier. What the usage's own `context` says stands over what follows from its other fields.
    """
    context: dict[str, str] = {}
    if usage.batch or usage.service_tier == "batch":
        context["processing"] = "batch"
    if usage.service_tier and usage.service_tier != "batch":
        context["service_tier"] = usage.service_tier
        if usage.service_tier == "fast":
            context["speed"] = "fast"
    return {**context, **usage.context}


def _remarks(context: Mapping[str, str], matched: set[tuple[str, str]]) -> Iterator[str]:
    """Yield a remark for everything asked for that has no price of its own."""
    used = f"the price for {_words(matched)}" if matched else "the standard price"
    fast = {("service_tier", "fast"), ("speed", "fast")}
    for name, value in context.items():
        if (name, value) in matched or value in _UNREMARKABLE:
            continue
        if (name, value) in fast and fast & matched:
            continue
        if (name, value) == ("speed", "fast") and fast <= set(context.items()):
            continue
        yield f"no price for {name}={value} at that time; {used} was used"


def _overruled(variant: Variant, before: set[tuple[str, str]], *, partly: bool) -> str:
    """Remark that a request asks for two things with a price each."""
    part = "part of " if partly else ""
    return f"{part}the price for {_words(set(variant.when.items()))} gave way to that for {_words(before)}"


def _words(properties: set[tuple[str, str]]) -> str:
    said = sorted(f"{name}={value}" for name, value in properties if value not in _UNREMARKABLE)
    return " and ".join(said) or "such requests"
