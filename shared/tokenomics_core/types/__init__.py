"""The values that every area speaks in."""

from tokenomics_core.types._attribution import Attribution, attribution, current_attribution, in_context
from tokenomics_core.types._cost import Cost
from tokenomics_core.types._record import DIMENSIONS, Outcome, Source, SpendRecord, Totals, dimension_of
from tokenomics_core.types._usage import Usage

__all__ = [
    "DIMENSIONS",
    "Attribution",
    "Cost",
    "Outcome",
    "Source",
    "SpendRecord",
    "Totals",
    "Usage",
    "attribution",
    "current_attribution",
    "dimension_of",
    "in_context",
]
