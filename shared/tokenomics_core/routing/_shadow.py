"""Proof before switching on: arms of a test, split by hash, with a share that is not routed at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._protocols import Policy
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.types import Attribution, HoldOut, current_attribution

__all__ = ["ABTest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ABTest:
    """Divide requests among policies, and hold a share out of routing; a key is always in the same arm.

    The key is the conversation where there is one, so that nobody's dialogue changes sides, else the
    question.

    Attributes:
        holdout: Share that goes to the safe tier unrouted, in [0, 1].
        hold_out: Who is left alone instead of that share: split by who asks and not by what is asked, so that
            a cache and a compressor that are given an equal one leave the same calls alone.
        policies: Further policies by arm, sharing the rest equally with the router's own (arm `treatment`).
        salt: Another salt makes another split.
    """

    holdout: float = 0.0
    hold_out: HoldOut | None = None
    policies: Mapping[str, Policy] = field(default_factory=dict, hash=False)
    salt: str = ""

    def __post_init__(self) -> None:
        if self.hold_out is not None and self.holdout:
            raise ConfigurationError(f"a test takes holdout={self.holdout!r} or a hold_out, not both")
        if not 0 <= self.holdout <= 1:
            raise ConfigurationError(f"holdout must be a share in [0, 1], not {self.holdout!r}")
        if taken := {"holdout", "treatment"} & set(self.policies):
            raise ConfigurationError(f"an arm cannot be called {min(taken)!r}; that name is taken")

    @property
    def is_on(self) -> bool:
        """Whether there is more than one arm."""
        return self.holdout > 0 or self.hold_out is not None or bool(self.policies)

    def arm(self, request: RouteRequest) -> str:
        """Return `holdout`, `treatment` or the name of another policy's arm."""
        key = request.question if request.conversation is None else request.conversation
        if self.hold_out is not None:
            who = current_attribution()
            if request.conversation is not None:
                who = who.merge(Attribution(conversation=request.conversation))
            if self.hold_out.leaves_alone(who):
                return "holdout"
        hold_out = HoldOut(share=self.holdout, salt=self.salt)
        if hold_out.left_alone(key):
            return "holdout"
        place = hold_out.place(key)
        arms = ("treatment", *self.policies)
        return arms[min(len(arms) - 1, int((place - self.holdout) / (1 - self.holdout) * len(arms)))]
