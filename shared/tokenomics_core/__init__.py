"""Make LLM applications cheap without making them worse, and show it in numbers.

Types and errors are imported from here, everything else from its area, such as `tokenomics_core.pricing`.
"""

from tokenomics_core.errors import (
    BudgetExceededError,
    ConfigurationError,
    MissingExtraError,
    StoreError,
    TokenomicsError,
    UnknownModelError,
)
from tokenomics_core.types import (
    Attribution,
    Cost,
    SpendRecord,
    Totals,
    Usage,
    attribution,
    current_attribution,
    in_context,
)

__version__ = "0.1.0"

__all__ = [
    "Attribution",
    "BudgetExceededError",
    "ConfigurationError",
    "Cost",
    "MissingExtraError",
    "SpendRecord",
    "StoreError",
    "TokenomicsError",
    "Totals",
    "UnknownModelError",
    "Usage",
    "__version__",
    "attribution",
    "current_attribution",
    "in_context",
]
