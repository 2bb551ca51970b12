"""What a request is expected to cost in each tier, by the one price book."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal

from tokenomics_core.pricing import PriceBook, default_price_book
from tokenomics_core.protocols import Pricer
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._tier import Tier
from tokenomics_core.tokens import estimate_tokens
from tokenomics_core.types import Usage

__all__ = ["Costs", "input_tokens_of"]

_log = logging.getLogger("tokenomics_core.routing")
_CHARACTERS_PER_TOKEN = 4
"""English in o200k; used for plain ASCII far below every window, where the exact count decides nothing."""
_FAR_BELOW = 3
_LEARNING_RATE = 0.05


class Costs:
    """Expects costs and learns how long each tier's answers are.

    Args:
        tiers: The tiers, each with a price of its own or one in `prices`.
        prices: Prices the tiers without one; the default price book if None.
        usual_output_tokens: What an answer takes where neither the tier nor any report says.
    """

    def __init__(self, tiers: Sequence[Tier], prices: Pricer | None, usual_output_tokens: int) -> None:
        self._lock = threading.Lock()
        self._prices = prices
        self._own: dict[str, PriceBook] = {}
        for tier in tiers:
            if (table := tier.price_table()) is not None:
                self._own[tier.name] = PriceBook(overrides={tier.model: table})
        self._output = {tier.name: float(tier.typical_output_tokens or usual_output_tokens) for tier in tiers}
        self._is_stated = {tier.name: tier.typical_output_tokens is not None for tier in tiers}

    def expected_usd(
        self,
        tier: Tier,
        input_tokens: int,
        max_output_tokens: int | None,
        cached_tokens: int = 0,
        *,
        worst: bool = False,
    ) -> Decimal | None:
        """Price a call that was not made; None where no price is known.

        Args:
            tier: Where it would go.
            input_tokens: Of the whole prompt.
            max_output_tokens: Most that the answer may take.
            cached_tokens: Input that the tier's prompt cache holds.
            worst: Whether to price an answer of the greatest length that was allowed.
        """
        output = self._output[tier.name]
        if max_output_tokens is not None:
            output = float(max_output_tokens) if worst else min(output, max_output_tokens)
        usage = Usage(
            input_tokens=int(input_tokens * tier.input_factor + 0.5),
            output_tokens=int(output * tier.output_factor + 0.5),
            cache_read_tokens=min(cached_tokens, input_tokens) if cached_tokens else None,
        )
        return self.usd(tier, usage)

    def usd(self, tier: Tier, usage: Usage) -> Decimal | None:
        """Price a usage in a tier; None where no price is known, or the prices failed."""
        own = self._own.get(tier.name)
        prices = own or (self._prices if self._prices is not None else default_price_book())
        try:
            return prices.cost(usage, tier.model, tier.provider).total_usd
        except Exception:  # noqa: BLE001 - prices may be foreign code, or a book that raises for unknown models
            _log.debug("tier %s could not be priced", tier.name, exc_info=True)
            return None

    @property
    def lengths(self) -> dict[str, float]:
        """By tier, how long its answers are taken to be, where reports may tell."""
        with self._lock:
            return {name: value for name, value in self._output.items() if not self._is_stated[name]}

    def restore(self, lengths: Mapping[str, float]) -> None:
        """Take lengths that were learned before."""
        with self._lock:
            for name in self._output.keys() & lengths.keys():
                if not self._is_stated[name] and lengths[name] >= 0:
                    self._output[name] = float(lengths[name])

    def learn(self, tier: Tier, usage: Usage) -> None:
        """Follow how long the answers of a tier are, unless the tier states it."""
        tokens = usage.output_tokens
        if tokens is None or self._is_stated[tier.name]:
            return
        with self._lock:
            self._output[tier.name] += _LEARNING_RATE * (
                tokens / tier.output_factor - self._output[tier.name]
            )


def input_tokens_of(request: RouteRequest, smallest_window: int | None) -> int:
    """Return the stated size of the prompt, or an estimate, careful where a window may be too small."""
    if request.input_tokens is not None:
        return request.input_tokens
    text = request.question
    if request.history or request.around:
        text = "\n".join([*(turn for _, turn in request.history), request.around, text])
    if text.isascii() and (smallest_window is None or len(text) * _FAR_BELOW < smallest_window):
        return len(text) // _CHARACTERS_PER_TOKEN + 1
    return estimate_tokens(text)
