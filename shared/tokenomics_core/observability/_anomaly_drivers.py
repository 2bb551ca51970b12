"""Why calls cost more or less than before: volume, cache hits, model mix, tokens, prompt cache or price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from itertools import product
from math import factorial
from typing import Any, Final

from tokenomics_core.errors import TokenomicsError
from tokenomics_core.observability._anomaly_sums import CallSums, ModelSums, Name
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import Usage

__all__ = ["DRIVERS", "CostChange", "explain_change"]

DRIVERS: Final = ("volume", "cache_hits", "model_mix", "tokens", "prompt_cache", "price")
"""What a cost is the product of, in this order."""

_EXACT = Context(prec=200)
_PRECISION = 50
_PICO = Decimal("1e-12")
_ONE, _ZERO = Decimal(1), Decimal(0)
_UNIT = 1_000  # tokens that a list price is asked for: below every tier by length
_PER_MODEL = 4
_COUNT = len(DRIVERS)
_WEIGHTS = [Decimal(factorial(n) * factorial(_COUNT - 1 - n)) / factorial(_COUNT) for n in range(_COUNT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostChange:
    """A change of cost, divided among what drove it; the parts add up to it exactly.

    Attributes:
        before_usd: The cost before.
        now_usd: The cost now.
        parts: By driver, in the order of `DRIVERS`: `volume` is how many calls there were, `cache_hits`
            which share of them a response cache answered, `model_mix` which models answered the rest,
            `tokens` how long those calls were, `prompt_cache` what share of the input a provider had in its
            cache, `price` what the same tokens cost.
    """

    before_usd: Decimal
    now_usd: Decimal
    parts: Mapping[str, Decimal] = field(default_factory=dict, hash=False)

    @property
    def change_usd(self) -> Decimal:
        """What it costs more now, below 0 for less; the sum of the parts."""
        return _EXACT.subtract(self.now_usd, self.before_usd)

    @property
    def main_driver(self) -> str | None:
        """The largest part in the direction of the change; None where nothing changed."""
        change = self.change_usd
        if not change:
            return None
        return max(self.parts, key=lambda name: self.parts[name] if change > 0 else -self.parts[name])

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain JSON types, amounts as text with all their digits."""
        return {
            "before_usd": format(self.before_usd, "f"),
            "now_usd": format(self.now_usd, "f"),
            "change_usd": format(self.change_usd, "f"),
            "main_driver": self.main_driver,
            "parts": {name: format(usd, "f") for name, usd in self.parts.items()},
        }


def explain_change(
    before: CallSums,
    now: CallSums,
    *,
    prices: Pricer | None = None,
    before_share: Decimal = _ONE,
    per_call: bool = False,
) -> CostChange:
    """Divide a change of cost among its drivers.

    A cost is taken as calls x share that is paid x, over models, share of the model x tokens per call at list
    price x discount of the provider's cache x price against that list. Each driver gets its Shapley value:
    the average, over all orders in which the six could have changed one after the other, of what its change
    adds. A model that was not there before is a matter of the mix alone.

    Args:
        before: What was usual.
        now: What is.
        prices: Tells list prices, at which tokens of different kinds are weighed, for before and now alike;
            without one, or for a model it does not know, all tokens weigh the same, and the provider's cache
            is part of the price.
        before_share: What `before` is multiplied by, such as a day's share of two weeks.
        per_call: Whether to explain the cost of one call rather than of all; the volume then drives nothing.

    Source:
        Shorrocks, "Decomposition procedures for distributional analysis: a unified framework based on the
        Shapley value", Journal of Economic Inequality 11, 2013.
    """
    with localcontext(Context(prec=_PRECISION)):
        arms = _Arm.of(before, before_share, per_call=per_call), _Arm.of(now, _ONE, per_call=per_call)
        costs = tuple(arm.cost_usd for arm in arms)
        inner = _inner_sums(before, now, prices)
        volumes, paid = _either([arm.calls for arm in arms]), _either([arm.paid_share for arm in arms])

        def value(chosen: tuple[int, ...]) -> Decimal:
            if not any(chosen):
                return costs[0]
            if all(chosen):
                return costs[1]
            return volumes[chosen[0]] * paid[chosen[1]] * inner[chosen[2:]]

        values = {chosen: value(chosen) for chosen in product((0, 1), repeat=_COUNT)}
        parts = {
            name: sum((_gain(values, at, others) for others in product((0, 1), repeat=_COUNT - 1)), _ZERO)
            for at, name in enumerate(DRIVERS)
        }
    return CostChange(before_usd=costs[0], now_usd=costs[1], parts=_made_exact(parts, costs[0], costs[1]))


@dataclass(frozen=True, slots=True)
class _Arm:
    """One side of a comparison."""

    cost_usd: Decimal
    calls: Decimal | None
    paid_share: Decimal | None

    @classmethod
    def of(cls, sums: CallSums, share: Decimal, *, per_call: bool) -> _Arm:
        calls, cost_usd = Decimal(sums.calls), sums.cost_usd
        paid_share = Decimal(sums.paid_calls) / calls if calls else None
        if per_call:
            cost_usd = (cost_usd / calls).quantize(_PICO) if calls else _ZERO
            return cls(cost_usd, _ONE if calls else None, paid_share)
        if share != _ONE:
            cost_usd = (cost_usd * share).quantize(_PICO)
        return cls(cost_usd, calls * share, paid_share)


def _either(values: list[Decimal | None]) -> list[Decimal]:
    """Fill in what one side does not tell with what the other tells: it has not changed."""
    return [next((one for one in (value, *values) if one is not None), _ZERO) for value in values]


def _inner_sums(before: CallSums, now: CallSums, prices: Pricer | None) -> dict[tuple[int, ...], Decimal]:
    """Return the cost of a paid call for every choice of before or now in mix, tokens, cache and price."""
    names = [*before.models, *(name for name in now.models if name not in before.models)]
    mixes = _mix(before, names), _mix(now, names)
    shares = [_either([None if mix is None else mix[at] for mix in mixes]) for at in range(len(names))]
    old, new = before.models, now.models
    factors = [_factors(old.get(name), new.get(name), _rates(name, prices)) for name in names]
    return {
        chosen: sum(
            (
                share[chosen[0]] * tokens[chosen[1]] * cached[chosen[2]] * price[chosen[3]]
                for share, (tokens, cached, price) in zip(shares, factors, strict=True)
            ),
            _ZERO,
        )
        for chosen in product((0, 1), repeat=_PER_MODEL)
    }


def _mix(sums: CallSums, names: list[Name]) -> list[Decimal] | None:
    paid = sums.paid_calls
    if not paid:
        return None
    return [Decimal(sums.models[name].calls) / paid if name in sums.models else _ZERO for name in names]


@dataclass(frozen=True, slots=True)
class _Rates:
    """List prices of a token by kind, in USD."""

    input_usd: Decimal
    read_usd: Decimal
    write_usd: Decimal
    output_usd: Decimal

    def plain(self, sums: ModelSums) -> Decimal:
        """Return what tokens cost where a provider caches nothing."""
        return sums.input_tokens * self.input_usd + sums.output_tokens * self.output_usd

    def cached(self, sums: ModelSums) -> Decimal:
        """Return what they cost with what was read from its cache and written to it."""
        return (
            self.plain(sums)
            + sums.cache_read_tokens * (self.read_usd - self.input_usd)
            + sums.cache_write_tokens * (self.write_usd - self.input_usd)
        )


_Pair = list[Decimal]


def _factors(
    before: ModelSums | None, now: ModelSums | None, rates: _Rates | None
) -> tuple[_Pair, _Pair, _Pair]:
    """Return tokens per call, discount of the cache and price, before and now; their product is exact."""
    sides = [one for one in (before, now) if one is not None and one.calls]
    if rates is not None and all(rates.plain(one) > 0 and rates.cached(one) > 0 for one in sides):
        tokens = [None if one is None else rates.plain(one) / one.calls for one in (before, now)]
        cached = [None if one is None else rates.cached(one) / rates.plain(one) for one in (before, now)]
        price = [None if one is None else one.cost_usd / rates.cached(one) for one in (before, now)]
        return _either(tokens), _either(cached), _either(price)
    if all(one.tokens for one in sides):
        tokens = [None if one is None else Decimal(one.tokens) / one.calls for one in (before, now)]
        price = [None if one is None else one.cost_usd / one.tokens for one in (before, now)]
        return _either(tokens), [_ONE, _ONE], _either(price)
    price = [None if one is None else one.cost_usd / one.calls for one in (before, now)]
    return [_ONE, _ONE], [_ONE, _ONE], _either(price)


def _rates(name: Name, prices: Pricer | None) -> _Rates | None:
    if prices is None:
        return None
    usages = (
        Usage(input_tokens=_UNIT, output_tokens=0),
        Usage(input_tokens=_UNIT, cache_read_tokens=_UNIT, output_tokens=0),
        Usage(input_tokens=_UNIT, cache_write_tokens=_UNIT, output_tokens=0),
        Usage(input_tokens=0, output_tokens=_UNIT),
    )
    model, provider = name
    try:
        costs = [prices.cost(usage, model, provider).total_usd for usage in usages]
    except TokenomicsError:  # prices that refuse what they do not know
        return None
    known = [usd / _UNIT for usd in costs if usd is not None]
    return _Rates(*known) if len(known) == len(usages) else None


def _gain(values: Mapping[tuple[int, ...], Decimal], at: int, others: tuple[int, ...]) -> Decimal:
    without = (*others[:at], 0, *others[at:])
    with_it = (*others[:at], 1, *others[at:])
    return _WEIGHTS[sum(others)] * (values[with_it] - values[without])


def _made_exact(parts: Mapping[str, Decimal], before_usd: Decimal, now_usd: Decimal) -> dict[str, Decimal]:
    """Round parts to pico-dollars; what rounding leaves over goes to the largest."""
    rounded = {name: _EXACT.add(_EXACT.quantize(usd, _PICO), _ZERO) for name, usd in parts.items()}
    rest = _EXACT.subtract(now_usd, before_usd)
    for usd in rounded.values():
        rest = _EXACT.subtract(rest, usd)
    if rest:
        largest = max(rounded, key=lambda name: abs(rounded[name]))
        rounded[largest] = _EXACT.add(rounded[largest], rest)
    return rounded
