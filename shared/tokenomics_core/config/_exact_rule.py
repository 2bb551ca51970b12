"""A rule under which no question is served but the very same."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tokenomics_core.cache import ChatRequest, KeyRule
from tokenomics_core.cache._serving import RequestKey

__all__ = ["ExactKeyRule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactKeyRule(KeyRule):
    """Splits requests as `KeyRule` does, and lets none be served by meaning."""

    def key_of(self, request: ChatRequest) -> RequestKey:
        """Say where the answer to a request is looked for, word for word."""
        key = KeyRule.key_of(self, request)
        return replace(key, how="exact", why="the policy is exact") if key.how == "semantic" else key
