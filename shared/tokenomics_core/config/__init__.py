"""One file of settings that both adapters and the simulation read."""

from __future__ import annotations

from tokenomics_core.config._parts import Parts
from tokenomics_core.config._sections import (
    BudgetSettings,
    CacheSettings,
    LedgerSettings,
    LimitSettings,
    PriceSettings,
)
from tokenomics_core.config._serving_sections import CompressSettings, RouterSettings, TierSettings
from tokenomics_core.config._settings import Settings

__all__ = [
    "BudgetSettings",
    "CacheSettings",
    "CompressSettings",
    "LedgerSettings",
    "LimitSettings",
    "Parts",
    "PriceSettings",
    "RouterSettings",
    "Settings",
    "TierSettings",
]
