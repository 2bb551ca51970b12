"""The price book: what a call cost, what the next one may cost, and where the price came from."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from numbers import Integral
from os import PathLike
from typing import Any, Literal

from tokenomics_core.errors import ConfigurationError, UnknownModelError
from tokenomics_core.pricing._calendar import as_utc
from tokenomics_core.pricing._catalog import NotFound
from tokenomics_core.pricing._ceiling import ceiling_usd
from tokenomics_core.pricing._genai import PriceData, bundled_data, fetch_data
from tokenomics_core.pricing._overlay import bundled_overlay
from tokenomics_core.pricing._overrides import Overrides
from tokenomics_core.pricing._price import Price, ResolvedModel
from tokenomics_core.pricing._resolver import Resolver, Settings
from tokenomics_core.pricing._schedule import Schedule
from tokenomics_core.pricing._table import Table
from tokenomics_core.types import Cost, Usage

__all__ = ["PriceBook", "default_price_book"]

_log = logging.getLogger("tokenomics_core.pricing")
_MAX_NAMES = 4096
_MAX_NAME_LENGTH = 512
"""Longer ones are not read: no model is called so, and taking one apart could take seconds."""


class PriceBook:
    """Prices of models, looked up by any usual spelling and exact to the last digit.

    The data is that of genai-prices, read on first use and never fetched unless `update` is called. Every
    model is compiled once; after that a cost takes microseconds. One book serves any number of threads.

    Args:
        overrides: The user's own prices: a table, or the path of a TOML or JSON file; see `Overrides` in the
            guide (docs/pricing.md).
        aliases: Names of the user's own, such as Azure deployments, and the model behind each, with or
            without its provider: `{"my-deployment": "gpt-4o", "fast": "groq:llama-3.3-70b-versatile"}`.
        unknown: What a model without a known price gets: a cost of None, or an `UnknownModelError`.
        discounts: Negotiated multipliers of list prices by `provider` or `provider/model`; the nearer one
            counts. They do not apply to overrides.
        overlay: Whether our own dated corrections stand over the data. Without them the book gives what
            genai-prices gives, including 0 for a usage that lacks the units a model is billed by.
        max_age_days: After how many days the data counts as stale, which is logged once; None for never.
            90 by default: the data changes several times a month.
        clock: Tells the time of a call that is priced without one.

    Raises:
        ConfigurationError: A setting is wrong; the message quotes it.
    """

    def __init__(
        self,
        overrides: Mapping[str, Any] | str | PathLike[str] | None = None,
        aliases: Mapping[str, str] | None = None,
        unknown: Literal["none", "raise"] = "none",
        *,
        discounts: Mapping[str, Decimal | float | str] | None = None,
        overlay: bool = True,
        max_age_days: float | None = 90,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        if unknown not in ("none", "raise"):
            raise ConfigurationError(f"unknown must be 'none' or 'raise', not {unknown!r}")
        if max_age_days is not None and not (isinstance(max_age_days, (int, float)) and max_age_days > 0):
            raise ConfigurationError(f"max_age_days must be above 0, not {max_age_days!r}")
        self._raises = unknown == "raise"
        self._max_age = None if max_age_days is None else timedelta(days=max_age_days)
        self._clock = clock or _now
        self._settings = Settings(
            Overrides(overrides),
            Settings.read_aliases(aliases),
            Settings.read_discounts(discounts),
            bundled_overlay() if overlay else None,
        )
        self._lock = threading.RLock()
        self._state: tuple[PriceData, Resolver] | None = None
        self._schedules: dict[tuple[str, str | None], Schedule | NotFound] = {}
        self._has_warned = False

    def load(self) -> None:
        """Read the price data now, so that the first call does not wait for it."""
        self._loaded()

    async def aload(self) -> None:
        """Read the price data now, in a thread."""
        await asyncio.to_thread(self.load)

    def cost(self, usage: Usage, model: str, provider: str | None = None, at: datetime | None = None) -> Cost:
        """Price one usage.

        A cost is None, with a note that says why, where the model is not known, where the usage lacks a count
        that is charged (input, or output unless the model charges input only), or where it reports none of
        the units the model is billed by.

        Args:
            usage: What was consumed.
            model: The model, in any usual spelling.
            provider: Who served it, as frameworks, gateways or the price data call it.
            at: When, with a time zone; now if left out.

        Raises:
            ConfigurationError: The time has no zone, the counts contradict each other, or an argument is of
                a wrong type.
            UnknownModelError: No price is known, and the book was told to raise.
        """
        if not isinstance(usage, Usage):
            raise ConfigurationError(f"usage must be a Usage, not {usage!r:.80}; nothing was priced")
        try:
            schedule = self._schedules.get((model, provider))
        except TypeError:  # a list, say, which is refused below
            schedule = None
        if schedule is None:
            schedule = self._find(model, provider)
        if at is not None and (type(at) is not datetime or at.tzinfo is not UTC):
            at = as_utc(at)
        if isinstance(schedule, NotFound):
            return self._unknown(model, provider, schedule.reason)
        if at is None and not schedule.is_constant:
            at = as_utc(self._clock())
        if usage.service_tier is not None or usage.batch or usage.context:
            table = schedule.table(usage, at)
            cost = table.cost(usage) if table is not None else None
        elif at is None or schedule.constant is not None:
            cost = schedule.constant(usage) if schedule.constant is not None else None
        else:
            cost = schedule.standard_cost(usage, at)
        return cost if cost is not None else self._unknown(model, provider, schedule.why_none(at))

    def price(
        self,
        model: str,
        provider: str | None = None,
        at: datetime | None = None,
        *,
        service_tier: str | None = None,
        batch: bool = False,
        context: Mapping[str, str] | None = None,
    ) -> Price | None:
        """Return the rates of a model at a time, None where no price is known.

        Raises:
            ConfigurationError: The time has no zone.
            UnknownModelError: No price is known, and the book was told to raise.
        """
        request = Usage(service_tier=service_tier, batch=batch, context=context or {})
        table = self._table(request, model, provider, at)
        if table is None:
            return None
        label = table.label
        return Price(
            model=label.model,
            provider=label.provider,
            source=label.source,
            price_date=label.price_date,
            rates=dict(table.sheet),
            notes=label.notes,
        )

    def resolve(self, model: str, provider: str | None = None) -> ResolvedModel | None:
        """Return which model a name is understood to mean, None where that is not certain.

        Raises:
            UnknownModelError: It is not, and the book was told to raise.
        """
        schedule = self._find(model, provider)
        if isinstance(schedule, NotFound):
            self._unknown(model, provider, schedule.reason)
            return None
        return ResolvedModel(model=schedule.model, provider=schedule.provider, notes=schedule.notes)

    def ceiling(
        self,
        model: str,
        provider: str | None,
        at: datetime | None,
        input_tokens: int,
        max_output_tokens: int,
        n: int = 1,
        *,
        audio: bool = False,
        service_tier: str | None = None,
        batch: bool = False,
        lasting_s: float = 0,
    ) -> Decimal | None:
        """Return the most that a call can cost in USD, None where no price is known.

        It bounds every call with at most so many text tokens, however many of them are read from or written
        to a cache and whatever the length does to the price. Fees for tools, images and the like come on top.

        Args:
            model: The model, in any usual spelling.
            provider: Who serves it; None if unknown.
            at: When, with a time zone; None for now.
            input_tokens: The whole input.
            max_output_tokens: What each answer may have at most, hidden reasoning included.
            n: How many answers are asked for.
            audio: Whether input and output may be audio.
            service_tier: The tier that is asked for.
            batch: Whether the call goes through a batch endpoint.
            lasting_s: How long the call may last; a price that rises until then counts.

        Raises:
            ConfigurationError: A count is negative or none, or the time has no zone.
            UnknownModelError: No price is known, and the book was told to raise.
        """
        counts: dict[str, object] = {
            "input_tokens": input_tokens,
            "max_output_tokens": max_output_tokens,
            "n": n,
        }
        for name, count in counts.items():
            if not isinstance(count, Integral) or int(count) < 0:
                raise ConfigurationError(
                    f"{name} must be a whole number of 0 or more, not {count!r}; no bound was computed"
                )
        if not isinstance(lasting_s, (int, float)):
            raise ConfigurationError(f"lasting_s must be seconds, not {lasting_s!r}; no bound was computed")
        request = Usage(service_tier=service_tier, batch=batch)
        start = as_utc(self._clock() if at is None else at)
        bounds: list[Decimal] = []
        for instant in (start, *self._changes(model, provider, start, lasting_s)):
            table = self._table(request, model, provider, instant)
            bound = None
            if table is not None:
                bound = ceiling_usd(table, input_tokens, max_output_tokens, n=n, audio=audio)
            if bound is None:
                return None
            bounds.append(bound)
        return max(bounds)

    @property
    def unknown(self) -> Literal["none", "raise"]:
        """What a model without a known price gets."""
        return "raise" if self._raises else "none"

    @property
    def data_version(self) -> str:
        """The price data in use, by name and version."""
        return self._loaded()[0].name

    @property
    def data_date(self) -> date | None:
        """The day the data was fetched, or the last day on which it says that a price was checked."""
        return self._loaded()[0].as_of

    @property
    def is_stale(self) -> bool:
        """Whether the data is older than `max_age_days`; data without a date is not called stale."""
        as_of = self.data_date
        return self._max_age is not None and as_of is not None and self._today() - as_of > self._max_age

    def update(self, url: str | None = None, *, timeout_s: float = 10.0) -> None:
        """Fetch newer price data over the network with genai-prices' own updater, for this book only.

        Args:
            url: Where from; genai-prices' own address if left out.
            timeout_s: How long each step of the request may take.

        Raises:
            StoreError: The data could not be fetched or used; the old prices stay in use.
        """
        data = fetch_data(url, timeout_s, as_utc(self._clock()))
        with self._lock:
            self._use(data)

    async def aupdate(self, url: str | None = None, *, timeout_s: float = 10.0) -> None:
        """Fetch newer price data like `update`, in a thread."""
        await asyncio.to_thread(self.update, url, timeout_s=timeout_s)

    def _loaded(self) -> tuple[PriceData, Resolver]:
        """Return the data and what finds models in it, reading it first where that was not done yet."""
        state = self._state
        if state is not None:
            return state
        with self._lock:
            state = self._state or self._use(bundled_data())
        self._warn_if_stale()
        return state

    def _use(self, data: PriceData) -> tuple[PriceData, Resolver]:
        self._state = state = (data, Resolver(data, self._settings))
        self._schedules = {}
        return state

    def _find(self, model: str, provider: str | None) -> Schedule | NotFound:
        """Find what a name means and remember it; the oldest names are forgotten first."""
        for role, name in (("model", model), ("provider", provider)):
            if name is not None and not isinstance(name, str):
                raise ConfigurationError(f"{role} must be a name, not {name!r:.80}; nothing was priced")
            if name is not None and len(name) > _MAX_NAME_LENGTH:
                return NotFound(
                    f"no {role} has a name of {len(name):,} characters; {_MAX_NAME_LENGTH} is the most"
                )
        if not model or not model.strip():
            return NotFound("the model has no name")
        if (known := self._schedules.get((model, provider))) is not None:
            return known
        state = self._loaded()
        schedule = state[1].schedule(model, provider)
        with self._lock:
            if state is self._state:
                while len(self._schedules) >= _MAX_NAMES:
                    del self._schedules[next(iter(self._schedules))]
                self._schedules[model, provider] = schedule
        return schedule

    def _table(self, request: Usage, model: str, provider: str | None, at: datetime | None) -> Table | None:
        schedule = self._find(model, provider)
        at = as_utc(self._clock() if at is None else at)
        if isinstance(schedule, NotFound):
            self._unknown(model, provider, schedule.reason)
            return None
        table = schedule.table(request, at)
        if table is None:
            self._unknown(model, provider, schedule.why_none(at))
        return table

    def _changes(self, model: str, provider: str | None, start: datetime, lasting_s: float) -> list[datetime]:
        schedule = self._find(model, provider)
        if isinstance(schedule, NotFound) or not lasting_s > 0:
            return []
        return schedule.changes_between(start, start + timedelta(seconds=lasting_s))

    def _unknown(self, model: str, provider: str | None, reason: str) -> Cost:
        if self._raises:
            raise UnknownModelError(model, provider)
        return Cost(total_usd=None, source="unknown model", notes=(reason,))

    def _today(self) -> date:
        return as_utc(self._clock()).date()

    def _warn_if_stale(self) -> None:
        if not self._has_warned and self.is_stale:
            self._has_warned = True
            _log.warning(
                "prices are those of %s, last checked on %s; newer ones come with a newer genai-prices "
                "or PriceBook.update()",
                self.data_version,
                self.data_date,
            )


def _now() -> datetime:
    return datetime.now(UTC)


@cache
def default_price_book() -> PriceBook:
    """Return the book that is used where none is given: list prices, no settings of one's own."""
    return PriceBook()
