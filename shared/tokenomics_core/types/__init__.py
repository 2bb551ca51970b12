"""The values that every area speaks in."""

from tokenomics_core.types._attribution import Attribution, attribution, current_attribution, in_context
from tokenomics_core.types._cost import Cost
from tokenomics_core.types._hold_out import HoldOut
from tokenomics_core.types._record import (
    DIMENSIONS,
    Outcome,
    Source,
    SpendRecord,
    dimension_of,
    dimension_reader,
)
from tokenomics_core.types._totals import Tally, Totals
from tokenomics_core.types._usage import Usage

__all__ = [
    "DIMENSIONS",
    "Attribution",
    "Cost",
    "HoldOut",
    "Outcome",
    "Source",
    "SpendRecord",
    "Tally",
    "Totals",
    "Usage",
    "attribution",
    "current_attribution",
    "dimension_of",
    "dimension_reader",
    "in_context",
]
