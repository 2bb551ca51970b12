"""Reserve the worst case of a call, and fit its answer to what is left."""

from __future__ import annotations

from decimal import Decimal

from tokenomics_core.budgets._flow import Flow
from tokenomics_core.budgets._reservation import Reservation
from tokenomics_core.budgets._status import Left
from tokenomics_core.budgets._steps import Steps
from tokenomics_core.budgets._worst_case import CallShape, Ceiling, fit_output, worst_case_usd
from tokenomics_core.errors import BudgetExceededError, ConfigurationError, UnknownModelError
from tokenomics_core.types import Attribution, current_attribution

__all__ = ["reserve_call"]

_TRIES = 4


def reserve_call(
    flow: Flow,
    prices: Ceiling | None,
    call: CallShape,
    attribution: Attribution | None,
    lease_us: int | None,
    sent: bool,
) -> Steps[Reservation]:
    """Set the worst case of a call aside; the reservation tells the bound on output that makes it one."""
    who = current_attribution() if attribution is None else attribution
    for attempt in range(_TRIES):
        output = call.max_output_tokens
        if output is None:
            left = yield from flow.left(who)
            output = _bound(call, prices, left)
        usd = _worst_case(flow, call, prices, output, who)
        tokens = call.input_tokens + output * call.answers
        try:
            made = yield from flow.reserve(
                who, usd, tokens, lease_us=lease_us, sent=sent, max_output_tokens=output
            )
        except BudgetExceededError:
            # Another call may have taken in between what was left: fit to what it left.
            fixed = call.max_output_tokens is not None or not call.fit_output
            if fixed or output <= call.min_output_tokens or attempt == _TRIES - 1:
                raise
        else:
            return made
    raise AssertionError("unreachable: the last try returns or raises")


def _bound(call: CallShape, prices: Ceiling | None, left: Left) -> int:
    if call.fit_output:
        fitted = fit_output(prices, call, left_usd=left.usd, left_tokens=left.tokens)
        # Where nothing fits, reserving the least tells which limit refuses.
        return call.min_output_tokens if fitted is None else fitted
    if call.model_max_output_tokens is None:
        raise ConfigurationError(
            f"the call to {call.model!r} has no max_output_tokens, so its cost has no bound; it was not sent "
            "(set max_output_tokens, name model_max_output_tokens, or use fit_output=True)"
        )
    return call.model_max_output_tokens


def _worst_case(
    flow: Flow, call: CallShape, prices: Ceiling | None, output_tokens: int, who: Attribution
) -> Decimal | None:
    usd = None if prices is None else worst_case_usd(prices, call, output_tokens)
    if usd is not None or flow.allow_unknown:
        return usd
    touched = flow.limits.touched(who, flow.store.now_us())
    if any(rule.unit == "usd" for rule in (*touched.rules, *touched.request)):
        if prices is None:
            raise ConfigurationError(
                "limits in USD need Budgets(prices=...) to price a call; it was not sent"
            )
        raise UnknownModelError(call.model, call.provider)
    return None
