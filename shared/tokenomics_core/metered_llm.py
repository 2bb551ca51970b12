"""What a model that helps along the way said, and what asking it costs, the same wherever one is asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import Usage

__all__ = ["LLMMeter", "LLMReply", "LLMSpending"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMReply:
    """What the model said, and what that took.

    Attributes:
        text: Its answer.
        usage: Its token counts, from which the cost is computed where prices are given.
        cost_usd: The cost itself, if it is known.
    """

    text: str
    usage: Usage | None = None
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMSpending:
    """What asking has cost so far.

    Attributes:
        calls: How many answers came back.
        cost_usd: The sum of the known costs.
        unpriced: How many of the calls cost an unknown amount.
        unread: How many of the answers could not be read.
    """

    calls: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced: int = 0
    unread: int = 0


class LLMMeter:
    """Adds up what replies cost; any number of threads may book them.

    Args:
        model: What answers, as the price book names it.
        provider: Who serves it.
        prices: Computes costs from usage, such as a `PriceBook`.

    Raises:
        ConfigurationError: Prices come without a model.
    """

    def __init__(
        self, model: str | None = None, provider: str | None = None, prices: Pricer | None = None
    ) -> None:
        if prices is not None and model is None:
            raise ConfigurationError("prices are given but no model; what asking costs would be unknown")
        self._model, self._provider, self._prices = model, provider, prices
        self._spending, self._lock = LLMSpending(), threading.Lock()

    @property
    def spending(self) -> LLMSpending:
        """What asking has cost so far."""
        return self._spending

    def book(self, reply: LLMReply, *, is_read: bool = True) -> Decimal | None:
        """Count a reply, and return what it cost; None where that is not known."""
        cost = self._cost(reply)
        with self._lock:
            spent = self._spending
            self._spending = LLMSpending(
                calls=spent.calls + 1,
                cost_usd=spent.cost_usd + (cost or Decimal(0)),
                unpriced=spent.unpriced + (cost is None),
                unread=spent.unread + (not is_read),
            )
        return cost

    def _cost(self, reply: LLMReply) -> Decimal | None:
        if reply.cost_usd is not None:
            return reply.cost_usd
        if reply.usage is None or self._prices is None or self._model is None:
            return None
        return self._prices.cost(reply.usage, self._model, self._provider).total_usd
