"""What synthetic traffic shall waste, and what it did waste: the truth that an audit is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from tokenomics_core.errors import ConfigurationError

__all__ = ["GeneratedTruth", "PlantedWaste", "WastePlan"]

_MOST = 0.2
_MOST_OUTPUTS = 0.004
_MONTH_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class WastePlan:
    """Which share of all calls shall be wasted in which way; each in [0, 0.2].

    Attributes:
        exact_repeats: Calls that repeat an earlier request word for word.
        near_repeats: Calls that ask an earlier question in other words.
        unstable_prefix: Calls whose long instructions follow a time and an id that change with every call.
        oversized_context: Calls with passages that are there twice or have nothing to do with the question.
        dear_model: Calls that ask a dear model for what any model can do.
        runaway_runs: Calls of agents that go on after the same tool call came three times.
        retries: Calls that fail or are cut and are sent once more within a minute.
        unbounded_outputs: Calls without a limit whose answer is many times as long as others; at most 0.004,
            so that they stay the exception in their feature.
        batchable: Calls sent in bursts every night for which nobody waits.
    """

    exact_repeats: float = 0.0
    near_repeats: float = 0.0
    unstable_prefix: float = 0.0
    oversized_context: float = 0.0
    dear_model: float = 0.0
    runaway_runs: float = 0.0
    retries: float = 0.0
    unbounded_outputs: float = 0.0
    batchable: float = 0.0

    def __post_init__(self) -> None:
        for kind, share in self.shares().items():
            most = _MOST_OUTPUTS if kind == "unbounded_outputs" else _MOST
            if not 0 <= share <= most:
                raise ConfigurationError(
                    f"{kind} must be from 0 to {most:g}, not {share}; nothing was generated"
                )

    @classmethod
    def all(cls) -> WastePlan:
        """Plant every kind, about three calls in ten together."""
        return cls(**_USUAL)

    @classmethod
    def none(cls) -> WastePlan:
        """Plant nothing."""
        return cls()

    @classmethod
    def only(cls, *kinds: str) -> WastePlan:
        """Plant some kinds, as much of each as `all` does.

        Raises:
            ConfigurationError: There is no such kind.
        """
        if unknown := sorted(set(kinds) - set(_USUAL)):
            raise ConfigurationError(
                f"there is no waste called {', '.join(unknown)}; there are {', '.join(_USUAL)}"
            )
        return cls(**{kind: _USUAL[kind] for kind in kinds})

    def shares(self) -> dict[str, float]:
        """Return the shares by kind."""
        return asdict(self)


_USUAL = {
    "exact_repeats": 0.04,
    "near_repeats": 0.04,
    "unstable_prefix": 0.06,
    "oversized_context": 0.04,
    "dear_model": 0.03,
    "runaway_runs": 0.03,
    "retries": 0.02,
    "unbounded_outputs": 0.003,
    "batchable": 0.06,
}
assert set(_USUAL) == {item.name for item in fields(WastePlan)}  # noqa: S101 - a slip here would hide a kind


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedWaste:
    """What was planted of one kind.

    Attributes:
        kind: One of the names in `WastePlan`.
        calls: The calls that were wasted, or wasted something.
        usd: What that cost more than it had to.
        ids: The ids of these calls, in time order.
        doubted_calls: Of near repeats, further ones in words that the response cache's verifier or guards
            doubt, so that no cache serves them and an audit by the verifier leaves them out.
        doubted_usd: What those cost; not in `usd`.
    """

    kind: str
    calls: int
    usd: Decimal
    ids: tuple[str, ...] = ()
    doubted_calls: int = 0
    doubted_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedTruth:
    """What is known of generated traffic because it was made so.

    Attributes:
        calls: How many calls there are.
        total_usd: What all of them cost.
        first_at: When the first one was sent; None where there is none.
        last_at: When the last one was sent.
        wastes: What was planted, by kind; each alone, as if the others were not there.
    """

    calls: int
    total_usd: Decimal
    first_at: datetime | None
    last_at: datetime | None
    wastes: Mapping[str, PlantedWaste]

    @property
    def span_days(self) -> float:
        """Days from the first call to the last, one at least."""
        if self.first_at is None or self.last_at is None:
            return 1.0
        return max(1.0, (self.last_at - self.first_at).total_seconds() / 86_400)

    def usd_per_month(self, kind: str) -> Decimal:
        """Return a kind's dollars for 30 days like these."""
        return self.wastes[kind].usd * _MONTH_DAYS / Decimal(str(self.span_days))

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain JSON types; amounts are strings so that no digit is lost."""
        return {
            "calls": self.calls,
            "total_usd": format(self.total_usd, "f"),
            "first_at": self.first_at and self.first_at.isoformat(),
            "last_at": self.last_at and self.last_at.isoformat(),
            "span_days": self.span_days,
            "wastes": {
                kind: {
                    "calls": waste.calls,
                    "usd": format(waste.usd, "f"),
                    "usd_per_month": format(self.usd_per_month(kind), ".6f"),
                    "doubted_calls": waste.doubted_calls,
                    "doubted_usd": format(waste.doubted_usd, "f"),
                    "ids": list(waste.ids),
                }
                for kind, waste in self.wastes.items()
            },
        }
