"""What was saved, by what, and whether a share that was left alone agrees."""

from tokenomics_core.observability._savings import Refused, Savings, savings
from tokenomics_core.observability._savings_call import CombinedSaving, parts_of_record
from tokenomics_core.observability._savings_measured import Measured
from tokenomics_core.types import HoldOut

__all__ = ["CombinedSaving", "HoldOut", "Measured", "Refused", "Savings", "parts_of_record", "savings"]
