"""Answer repeated questions from what was paid for already, and never wrongly by accident."""

from tokenomics_core.cache._entry import CacheEntry, Neighbour, Selector, StoreSize
from tokenomics_core.cache._fixed import FixedThreshold
from tokenomics_core.cache._protocols import CachePolicy, CacheStore, Decision, PolicyReport
from tokenomics_core.cache._verifier import Verifier

__all__ = [
    "CacheEntry",
    "CachePolicy",
    "CacheStore",
    "Decision",
    "FixedThreshold",
    "Neighbour",
    "PolicyReport",
    "Selector",
    "StoreSize",
    "Verifier",
]
