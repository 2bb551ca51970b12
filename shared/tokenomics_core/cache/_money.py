"""What a cached call cost, in whole nano-dollars."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import ROUND_CEILING, Context, Decimal

from tokenomics_core.protocols import Pricer
from tokenomics_core.types import Usage

__all__ = ["Costs", "from_nano"]

# Not the ambient context: a caller may have set a low precision, and a bill does not depend on that.
_EXACT = Context(prec=60, rounding=ROUND_CEILING)
_NANO = Decimal(10) ** 9


def from_nano(amount: int | None) -> Decimal | None:
    """Return nano-dollars in USD; unknown stays unknown."""
    return None if amount is None else _EXACT.divide(Decimal(amount), _NANO)


class Costs:
    """Prices the calls whose answers are kept, with a price book that is loaded when it is first needed."""

    def __init__(self, prices: Pricer | None, on_failure: Callable[[Exception], None]) -> None:
        self._prices = prices
        self._on_failure = on_failure
        self._lock = threading.Lock()

    @property
    def is_loaded(self) -> bool:
        """Whether a price takes no more than a moment."""
        return self._prices is not None

    def cost_nano_usd(self, usage: Usage | None, model: str | None) -> int | None:
        """Return what a call cost, rounded up; None where that is unknown."""
        if usage is None or model is None or not usage.is_reported:
            return None
        try:
            total = self._book().cost(usage, model).total_usd
        except Exception as error:  # noqa: BLE001 - an answer without a price is kept all the same
            self._on_failure(error)
            return None
        return None if total is None else int(_EXACT.to_integral_value(_EXACT.multiply(total, _NANO)))

    def _book(self) -> Pricer:
        with self._lock:
            if self._prices is None:
                from tokenomics_core.pricing import PriceBook  # noqa: PLC0415 - tables load on first use

                self._prices = PriceBook()
            return self._prices
