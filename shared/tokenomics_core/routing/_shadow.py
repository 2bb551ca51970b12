"""Proof before switching on: arms of a test, split by hash, with a share that is not routed at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._protocols import Policy
from tokenomics_core.routing._request import RouteRequest

__all__ = ["ABTest"]

_BUCKETS = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ABTest:
    """Divide requests among policies, and hold a share out of routing; a key is always in the same arm.

    The key is the conversation where there is one, so that nobody's dialogue changes sides, else the
    question.

    Attributes:
        holdout: Share that goes to the safe tier unrouted, in [0, 1].
        policies: Further policies by arm, sharing the rest equally with the router's own (arm `treatment`).
        salt: Another salt makes another split.
    """

    holdout: float = 0.0
    policies: Mapping[str, Policy] = field(default_factory=dict, hash=False)
    salt: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.holdout <= 1:
            raise ConfigurationError(f"holdout must be a share in [0, 1], not {self.holdout!r}")
        if taken := {"holdout", "treatment"} & set(self.policies):
            raise ConfigurationError(f"an arm cannot be called {min(taken)!r}; that name is taken")

    def arm(self, request: RouteRequest) -> str:
        """Return `holdout`, `treatment` or the name of another policy's arm."""
        key = request.question if request.conversation is None else request.conversation
        digest = hashlib.blake2b(
            f"{self.salt}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8
        ).digest()
        place = int.from_bytes(digest, "big") / _BUCKETS
        if place < self.holdout or self.holdout >= 1:
            return "holdout"
        arms = ("treatment", *self.policies)
        return arms[min(len(arms) - 1, int((place - self.holdout) / (1 - self.holdout) * len(arms)))]
