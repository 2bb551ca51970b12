"""What calls cost, shown: reports, blocks that are tracked, and the records behind them."""

from tokenomics_core.observability._billing import was_sent
from tokenomics_core.observability._cut_texts import CutTexts, repriced_difference, with_more_input
from tokenomics_core.observability._metrics import Metrics, install_metrics
from tokenomics_core.observability._report import CostReport, Estimate
from tokenomics_core.observability._scope import (
    CostScope,
    LedgerWriter,
    announce_meter,
    current_scope,
    is_metered,
    track_cost,
)
from tokenomics_core.observability._tracker import (
    CallEnd,
    CallStart,
    CallTracker,
    in_event_loop,
    withdraw_call,
)

__all__ = [
    "CallEnd",
    "CallStart",
    "CallTracker",
    "CostReport",
    "CostScope",
    "CutTexts",
    "Estimate",
    "LedgerWriter",
    "Metrics",
    "announce_meter",
    "current_scope",
    "in_event_loop",
    "install_metrics",
    "is_metered",
    "repriced_difference",
    "track_cost",
    "was_sent",
    "with_more_input",
    "withdraw_call",
]
