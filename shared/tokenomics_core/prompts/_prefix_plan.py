"""Decide from observed gaps whether, and for how long, the beginning of a prompt should be cached."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook, default_price_book
from tokenomics_core.prompts._cache_rules import CacheRule, find_rule

__all__ = [
    "NO_CACHING",
    "PrefixOption",
    "PrefixPlan",
    "break_even_uses",
    "plan_prefix_cache",
    "prefix_option",
]

NO_CACHING = "none"
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixOption:
    """One way to send a prefix.

    Attributes:
        name: `none`, or how long its entry lives: `5m`, `1h`, `30m`, `automatic`.
        usd: What the prefix cost in all the uses that were looked at.
        hit_rate: Share of the uses that would have read it, in [0, 1].
        break_even_uses: How many uses within its lifetime pay for the write; None where none ever do.
    """

    name: str
    usd: Decimal
    hit_rate: float
    break_even_uses: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixPlan:
    """What to do with a prefix, and why.

    Attributes:
        choice: The cheapest of `options` by name.
        options: All that the provider offers, the cheapest first.
        uses: How many uses were looked at.
        saved_usd: What the choice saves over all of them against not caching; 0 where that is the choice.
        reason: Why, in plain words.
        rule: What the provider documents; None where nothing is known of it.
    """

    choice: str
    options: tuple[PrefixOption, ...]
    uses: int
    saved_usd: Decimal
    reason: str
    rule: CacheRule | None


def plan_prefix_cache(
    model: str,
    prefix_tokens: int,
    gaps_s: Iterable[float],
    *,
    provider: str | None = None,
    prices: PriceBook | None = None,
    rule: CacheRule | None = None,
    at: datetime | None = None,
) -> PrefixPlan:
    """Choose between not caching a prefix and caching it for each of the lifetimes on offer.

    Every option is priced over the observed uses: the first use writes, a use within the lifetime of the one
    before reads and renews it, any other writes again.

    Args:
        model: Who is asked, in any spelling.
        prefix_tokens: Length of the part that is the same in every use.
        gaps_s: Seconds between each use and the next, as observed.
        provider: Who serves the model; used where its name does not tell.
        prices: Where prices come from; by default the shared price book.
        rule: What the provider asks and gives; by default the shipped data.
        at: When, for the prices; now if left out.

    Raises:
        ConfigurationError: No price is known for the model, or a number cannot be; nothing was planned.
    """
    if isinstance(prefix_tokens, bool) or not isinstance(prefix_tokens, int) or prefix_tokens < 0:
        raise ConfigurationError(
            f"prefix_tokens must be 0 or more, not {prefix_tokens!r}; nothing was planned"
        )
    gaps = [_gap(value) for value in gaps_s]
    known = rule or find_rule(model, provider)
    rates = _rates(model, provider, prices or default_price_book(), at, known)
    uses = len(gaps) + 1
    plain = _option(NO_CACHING, prefix_tokens, rates, gaps, 0)
    if known is None:
        return _plan(plain, [], uses, "nothing is known of how its provider caches", None)
    if prefix_tokens < known.minimum_tokens:
        reason = (
            f"{prefix_tokens} tokens are below the {known.minimum_tokens} from which {known.provider} caches"
        )
        return _plan(plain, [], uses, reason, known)
    cached = [_option(name, prefix_tokens, rates, gaps, ttl) for name, ttl in known.ttls_s.items()]
    if known.automatic:
        # Nobody can choose: the provider caches unasked, and the plan says what that is worth.
        return _plan(plain, cached, uses, "its provider caches unasked", known, forced=cached[0])
    return _plan(plain, cached, uses, "", known)


def break_even_uses(write: Decimal, read: Decimal) -> int | None:
    """Count the uses of one entry that pay for writing it.

    Args:
        write: Price of writing as a multiple of the input price.
        read: Price of reading as a multiple of the input price.

    Returns:
        The first n with `write + (n - 1) * read < n`; None where reading saves nothing.
    """
    if read >= 1:
        return None
    return max(1, math.floor((write - read) / (1 - read)) + 1)


def prefix_option(
    gaps_s: Sequence[float], ttl_s: float, write: Decimal, read: Decimal
) -> tuple[Decimal, int]:
    """Cost a prefix over its uses in multiples of the input price, and count the uses that read it."""
    reads = sum(gap <= ttl_s for gap in gaps_s)
    return write * (len(gaps_s) + 1 - reads) + read * reads, reads


def _option(
    name: str, tokens: int, rates: Mapping[str, tuple[Decimal, Decimal]], gaps: Sequence[float], ttl_s: float
) -> PrefixOption:
    write, read = rates[name]
    base = rates[NO_CACHING][0]
    cost, reads = prefix_option(gaps, ttl_s if name != NO_CACHING else -1, write, read)
    even = break_even_uses(write / base, read / base) if name != NO_CACHING and base else None
    return PrefixOption(
        name=name, usd=cost * tokens / _MILLION, hit_rate=reads / (len(gaps) + 1), break_even_uses=even
    )


def _plan(
    plain: PrefixOption,
    cached: list[PrefixOption],
    uses: int,
    reason: str,
    rule: CacheRule | None,
    *,
    forced: PrefixOption | None = None,
) -> PrefixPlan:
    options = tuple(sorted([plain, *cached], key=lambda option: option.usd))
    best = forced or options[0]
    if not reason:
        reason = (
            f"{best.name} reads the prefix in {best.hit_rate:.0%} of its uses"
            if best is not plain
            else f"it would be read in at most {max(option.hit_rate for option in cached):.0%} of its uses"
        )
    return PrefixPlan(
        choice=best.name, options=options, uses=uses, saved_usd=plain.usd - best.usd, reason=reason, rule=rule
    )


def _rates(
    model: str, provider: str | None, prices: PriceBook, at: datetime | None, rule: CacheRule | None
) -> dict[str, tuple[Decimal, Decimal]]:
    """Find (write, read) in USD per million tokens by option; the price book's own prices go first."""
    price = prices.price(model, provider, at)
    base = price.usd_per_mtok("input") if price else None
    if price is None or base is None:
        raise ConfigurationError(f"no input price is known for {model!r}; nothing was planned")
    rates = {NO_CACHING: (base, base)}
    if rule is None:
        return rates
    own_read = price.usd_per_mtok("cache_read")
    read = own_read if own_read is not None and own_read != base else base * rule.read
    for name, multiple in rule.write.items():
        own = price.usd_per_mtok("cache_write_1h" if name == "1h" else "cache_write")
        # A kind without a price of its own is given the price of all input, which a write never has here.
        write = own if own is not None and own != base and multiple != 1 else base * multiple
        rates[name] = (write, read)
    return rates


def _gap(value: float) -> float:
    if not isinstance(value, (int, float)) or math.isnan(value) or value < 0:
        raise ConfigurationError(f"a gap must be seconds of 0 or more, not {value!r}; nothing was planned")
    return float(value)
