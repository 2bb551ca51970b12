"""A stream sent for real under a settings file, so that a replay of its log can be held against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from examples.traffic_stream import CHEAP, DEAR, Outcome, StreamClock, open_stand_in, run_stream
from tokenomics_core.config import Settings
from tokenomics_core.traffic import TrafficRecord

__all__ = ["BUDGETS", "TIERS", "became", "became_in_replay", "send"]

BUDGETS = """
[budgets]
max_output_tokens = 500
[[budgets.limits]]
scope = "user"
usd = "0.004"
window = "day"
[[budgets.limits]]
scope = "all"
usd = "0.02"
window = "rolling 24h"
"""
TIERS = f"""
[[router.tiers]]
name = "weak"
model = "{CHEAP}"
[[router.tiers]]
name = "strong"
model = "{DEAR}"
"""


def send(
    requests: Iterable[TrafficRecord],
    settings: Settings,
    from_config: Callable[..., Any],
    application: Callable[..., Any],
) -> tuple[Decimal, list[Outcome]]:
    """Send a stream with what a framework's `from_config` opens; what it cost, and what became of each."""
    clock = StreamClock()
    with open_stand_in() as stand_in, from_config(settings, clock=clock) as saving:
        outcomes = run_stream(requests, application(stand_in[0].openai_url, saving.wrap), stand_in, clock)
        return saving.ledger.total(), outcomes


def became(outcome: Outcome) -> tuple[str, str | None]:
    """Say who answered a request that was sent, and with which model."""
    if outcome.sent is not None:
        return "model", outcome.sent.model
    return ("refused" if outcome.answer is None else "cache"), None


def became_in_replay(call: Any) -> tuple[str, str | None]:
    """Say the same of a call of `Simulation.calls`."""
    if call.served == "model":
        return "model", call.model
    return ("cache" if call.is_hit else call.served), None
