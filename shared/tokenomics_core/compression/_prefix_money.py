"""Whether it pays to change what a provider has cached: by price, and in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from itertools import accumulate
from typing import Self

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import Price

__all__ = ["EditDecision", "EditPlan", "PrefixPrices", "edit_pays", "plan_edits"]

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class PrefixPrices:
    """What input costs under a provider's prompt caching, in USD per million tokens.

    Attributes:
        read_usd_per_mtok: Input that is read from the cache.
        write_usd_per_mtok: Input that is not, and is cached by being sent. Without caching, both are the
            price of input.
    """

    read_usd_per_mtok: Decimal
    write_usd_per_mtok: Decimal

    def __post_init__(self) -> None:
        for name in ("read_usd_per_mtok", "write_usd_per_mtok"):
            value = getattr(self, name)
            if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
                raise ConfigurationError(f"{name} must be a Decimal of 0 or more, not {value!r}")
        if self.read_usd_per_mtok > self.write_usd_per_mtok:
            raise ConfigurationError(
                f"read_usd_per_mtok={self.read_usd_per_mtok} is above "
                f"write_usd_per_mtok={self.write_usd_per_mtok}: such a cache pays for nobody"
            )

    @classmethod
    def of(cls, price: Price, *, hour: bool = False) -> Self:
        """Take them from a model's price, as `PriceBook().price(model)` gives it.

        Args:
            price: The model's rates.
            hour: Whether what is written lives an hour.

        Raises:
            ConfigurationError: Input has no price by the token.
        """
        read = price.usd_per_mtok("cache_read")
        write = price.usd_per_mtok("cache_write_1h" if hour else "cache_write")
        if read is None or write is None:
            raise ConfigurationError(f"{price.model} has no price of input by the token")
        return cls(read, max(read, write))


@dataclass(frozen=True, slots=True)
class EditDecision:
    """What an edit of earlier messages would bring.

    Attributes:
        pays: Whether it saves more than it costs over the calls that are expected.
        net_usd: What it saves over them, less what it costs.
        first_call_usd: By how much it makes the next call dearer; below 0 where that gets cheaper, too.
        break_even_calls: From how many calls on it pays; None where it never does.
    """

    pays: bool
    net_usd: Decimal
    first_call_usd: Decimal
    break_even_calls: int | None


@dataclass(frozen=True, slots=True)
class EditPlan:
    """Which edits to make now, all in one go.

    Attributes:
        places: Of the messages to edit; empty where it is better to wait.
        decision: What these edits bring, or what the best ones would that are not made.
    """

    places: tuple[int, ...]
    decision: EditDecision


def edit_pays(
    removed_tokens: int,
    tokens_behind: int,
    *,
    prices: PrefixPrices,
    expected_calls: float,
    added_tokens: int = 0,
    cost_usd: Decimal = Decimal(0),
    is_warm: bool = True,
) -> EditDecision:
    """Decide whether to take tokens out of what a provider has cached.

    All that stands behind the edit is written anew once, at the price of a write instead of a read; what was
    taken out is no longer read by any call. With nothing added, an edit breaks even after
    `tokens_behind * (write - read) / (removed_tokens * read)` calls. Where the cache has lapsed
    (`is_warm=False`), all is written anew in any case and an edit costs nothing but itself.

    Args:
        removed_tokens: What is taken out.
        tokens_behind: What stands behind and is cached.
        prices: Of input.
        expected_calls: How many calls are still to come with this history, the next one included.
        added_tokens: What takes its place.
        cost_usd: What the edit itself costs, such as a summary's call.
        is_warm: Whether the history is still cached.

    Raises:
        ConfigurationError: A number is below 0, or no call is expected.
    """
    if expected_calls < 1:
        raise ConfigurationError(f"expected_calls must be 1 or more, not {expected_calls!r}")
    for name, value in (
        ("removed_tokens", removed_tokens),
        ("tokens_behind", tokens_behind),
        ("added_tokens", added_tokens),
        ("cost_usd", cost_usd),
    ):
        if not value >= 0:
            raise ConfigurationError(f"{name} must be 0 or more, not {value!r}; nothing was decided")
    fewer = removed_tokens - added_tokens
    read, write = prices.read_usd_per_mtok / _MILLION, prices.write_usd_per_mtok / _MILLION
    if is_warm:
        first = (tokens_behind + added_tokens) * write - (tokens_behind + removed_tokens) * read + cost_usd
    else:
        first = cost_usd - fewer * write
    return _decision(first, fewer * read, expected_calls)


def plan_edits(
    tokens: Sequence[int],
    smaller: Mapping[int, int],
    *,
    prices: PrefixPrices,
    expected_calls: float,
    cached_messages: int | None = None,
    spare_usd: Decimal | None = None,
) -> EditPlan:
    """Choose which of the possible edits of a history to make before the next call.

    One edit makes all behind it be written anew, so that further edits behind it cost nothing more: what is
    chosen is a first edit and all that follow it.

    Args:
        tokens: Of each message, in order.
        smaller: By place of a message that may be edited, its tokens afterwards.
        prices: Of input.
        expected_calls: How many calls are still to come with this history, the next one included.
        cached_messages: How many messages, from the first on, the provider has cached; all by default.
        spare_usd: The most that the next call may be made dearer by; None for no such limit.

    Raises:
        ConfigurationError: A place is none of a message, or a message would grow.
    """
    for place, size in smaller.items():
        if not 0 <= place < len(tokens) or not 0 <= size <= tokens[place]:
            raise ConfigurationError(
                f"smaller[{place!r}]={size!r} must be at most the tokens of a message; nothing was decided"
            )
    if expected_calls < 1:
        raise ConfigurationError(f"expected_calls must be 1 or more, not {expected_calls!r}")
    cached = len(tokens) if cached_messages is None else cached_messages
    read, write = prices.read_usd_per_mtok / _MILLION, prices.write_usd_per_mtok / _MILLION
    before = [0, *accumulate(tokens)]
    after = [0, *accumulate(smaller.get(place, size) for place, size in enumerate(tokens))]
    best = EditPlan((), _decision(Decimal(0), Decimal(0), expected_calls))
    for start in sorted(place for place, size in smaller.items() if size < tokens[place]):
        edge = max(start, cached)
        # Up to `edge` all was cached and is written anew; behind it all is new and is written in any case.
        first = (after[edge] - after[start]) * write - (before[edge] - before[start]) * read
        first -= ((before[-1] - before[edge]) - (after[-1] - after[edge])) * write
        fewer = (before[-1] - before[start]) - (after[-1] - after[start])
        decision = _decision(first, fewer * read, expected_calls)
        is_allowed = spare_usd is None or decision.first_call_usd <= spare_usd
        if is_allowed and decision.net_usd > max(best.decision.net_usd, Decimal(0)):
            places = tuple(sorted(p for p, size in smaller.items() if p >= start and size < tokens[p]))
            best = EditPlan(places, decision)
    return best


def _decision(first_usd: Decimal, saved_usd_per_call: Decimal, expected_calls: float) -> EditDecision:
    """Weigh a dearer next call (of which a call's saving is taken off already) against cheaper later ones."""
    later = Decimal(str(expected_calls - 1))
    net = saved_usd_per_call * later - first_usd
    if first_usd <= 0 < saved_usd_per_call or first_usd < 0 == saved_usd_per_call:
        even: int | None = 1
    elif saved_usd_per_call <= 0:
        even = None
    else:
        even = 1 + int((first_usd / saved_usd_per_call).to_integral_value(ROUND_CEILING))
    return EditDecision(net > 0, net, first_usd, even)
