"""Exact prices: what a call cost in USD, by any usual spelling of its model, and where the price came from.

The price data is imported when it is first needed, not with this package.
"""

from tokenomics_core.pricing._book import PriceBook, default_price_book
from tokenomics_core.pricing._litellm import load_litellm
from tokenomics_core.pricing._overrides import self_hosted_usd_per_mtok
from tokenomics_core.pricing._price import Price, ResolvedModel, provider_cost
from tokenomics_core.pricing._providers import is_known_provider
from tokenomics_core.pricing._rates import Rate

__all__ = [
    "Price",
    "PriceBook",
    "Rate",
    "ResolvedModel",
    "default_price_book",
    "is_known_provider",
    "load_litellm",
    "provider_cost",
    "self_hosted_usd_per_mtok",
]
