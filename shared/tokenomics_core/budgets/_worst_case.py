"""The most that a call can cost, and the longest answer that what is left can pay for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from tokenomics_core.budgets._money import Money, from_nano, nano_for_hold, whole
from tokenomics_core.errors import ConfigurationError

__all__ = ["LEASE_S", "CallShape", "Ceiling", "fit_output", "worst_case_usd"]

_COUNTS = ("input_tokens", "max_output_tokens", "model_max_output_tokens", "min_output_tokens", "answers")
LEASE_S = 600.0
"""How long a call may take before it is taken for dead: the default timeout of the clients of OpenAI and
Anthropic."""

_LONGEST = 10_000_000
"""Longer than any answer: where only money bounds it, the search starts here."""


class Ceiling(Protocol):
    """Something that knows the dearest that tokens can be; `tokenomics_core.pricing.PriceBook` is one."""

    def ceiling(
        self,
        model: str,
        provider: str | None,
        at: datetime | None,
        *,
        input_tokens: int,
        max_output_tokens: int,
        n: int = 1,
        audio: bool = False,
        service_tier: str | None = None,
        batch: bool = False,
        lasting_s: float = 0,
    ) -> Decimal | None:
        """Return a bound on the cost of a call in USD, whatever kind its tokens turn out to be.

        `at` is when it starts, None for now, and `lasting_s` how long it may last.
        The bound must not fall as tokens grow. None where the model has no price.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class CallShape:
    """What is known of a call before it is sent.

    Attributes:
        model: The model asked.
        provider: Who serves it.
        input_tokens: Its counted input.
        max_output_tokens: The bound that the caller set; None where there is none.
        model_max_output_tokens: The longest answer that the model gives; None where unknown.
        min_output_tokens: An answer shorter than this is of no use: rather refuse the call.
        answers: How many answers are asked for at once.
        fit_output: Whether output without a bound may be cut to what is left.
        audio: Whether input and output may be audio.
        service_tier: The service tier that is asked for.
        batch: Whether the call goes through a batch endpoint.
        lasting_s: How long the call may last; a price that rises until then counts.
        extra_usd: What is due besides tokens, such as fees of tools.
    """

    model: str
    provider: str | None = None
    input_tokens: int
    max_output_tokens: int | None = None
    model_max_output_tokens: int | None = None
    min_output_tokens: int = 256
    answers: int = 1
    fit_output: bool = True
    audio: bool = False
    service_tier: str | None = None
    batch: bool = False
    lasting_s: float = LEASE_S
    extra_usd: Money = Decimal(0)

    def __post_init__(self) -> None:
        for name in (
            "input_tokens",
            "max_output_tokens",
            "model_max_output_tokens",
            "min_output_tokens",
            "answers",
        ):
            if (value := getattr(self, name)) is not None:
                whole(value, name)
        if self.answers < 1 or self.min_output_tokens < 1:
            raise ConfigurationError(
                f"answers and min_output_tokens start at 1, not {self.answers}, {self.min_output_tokens}"
            )


def worst_case_usd(prices: Ceiling, call: CallShape, output_tokens: int | None = None) -> Decimal | None:
    """Return the most that a call can cost; None where its model has no price.

    Args:
        prices: Where the dearest rate of each token comes from.
        call: The call; its input is priced at the dearest kind and context tier.
        output_tokens: The bound on each answer where the call has none of its own.
    """
    bound = call.max_output_tokens if output_tokens is None else output_tokens
    if bound is None:
        raise ConfigurationError(f"a call to {call.model!r} without max_output_tokens has no bound")
    most = prices.ceiling(
        call.model,
        call.provider,
        None,
        input_tokens=call.input_tokens,
        max_output_tokens=bound,
        n=call.answers,
        audio=call.audio,
        service_tier=call.service_tier,
        batch=call.batch,
        lasting_s=call.lasting_s,
    )
    if most is None:
        return None
    # Summed in nano-dollars: no ambient precision can round the bound down.
    return from_nano(nano_for_hold(most) + nano_for_hold(call.extra_usd, "extra_usd"))


def fit_output(
    prices: Ceiling | None,
    call: CallShape,
    *,
    left_usd: Decimal | None = None,
    left_tokens: int | None = None,
) -> int | None:
    """Return the longest answer whose worst case fits what is left; None where not even the least does.

    Args:
        prices: Where rates come from; needed where `left_usd` is given and the model is priced.
        call: The call. Where neither what is left nor the model bounds the answer, it has no fit.
        left_usd: What is left in USD; None where no limit counts it.
        left_tokens: What is left in tokens, input included; None where no limit counts them.

    Raises:
        ConfigurationError: Nothing bounds the answer.
    """
    bounds = [bound for bound in (call.max_output_tokens, call.model_max_output_tokens) if bound is not None]
    if left_tokens is not None:
        bounds.append((left_tokens - call.input_tokens) // call.answers)
    fits_usd = None if left_usd is None or prices is None else _affordable(prices, call, left_usd)
    if not bounds and fits_usd is None:
        raise ConfigurationError(
            f"nothing bounds the answer of {call.model!r}: no limit that counts it, no max_output_tokens, "
            "no model_max_output_tokens; the call was not sent"
        )
    most = min(bounds, default=_LONGEST)
    least = min(call.min_output_tokens, call.max_output_tokens or call.min_output_tokens)
    if most < least or (fits_usd is not None and not fits_usd(least)):
        return None
    if fits_usd is None or fits_usd(most):
        return most
    return _last_that_fits(fits_usd, least, most)


def _affordable(prices: Ceiling, call: CallShape, left_usd: Decimal) -> Callable[[int], bool] | None:
    if worst_case_usd(prices, call, 1) is None:
        return None  # unpriced: what is left in USD says nothing about it

    def fits(output_tokens: int) -> bool:
        most = worst_case_usd(prices, call, output_tokens)
        return most is not None and most <= left_usd

    return fits


def _last_that_fits(fits: Callable[[int], bool], good: int, bad: int) -> int:
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good
