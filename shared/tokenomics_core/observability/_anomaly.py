"""One thing that is not as usual, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from tokenomics_core.observability._anomaly_drivers import CostChange
from tokenomics_core.rendering import format_usd

__all__ = ["Anomaly", "AnomalyKind", "Ended"]

AnomalyKind = Literal["call", "level", "rate", "run"]
Ended = Literal["recovered", "accepted"]

_WORDS = {
    "volume": "more calls",
    "cache_hits": "fewer answers from the cache",
    "model_mix": "dearer models",
    "tokens": "longer calls",
    "prompt_cache": "less read from the provider's cache",
    "price": "higher prices",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """An episode in which calls cost more than usual.

    Attributes:
        kind: `call` for a single call beside its feature's, `level` for the cost per call, `rate` for the
            number of calls, `run` for a whole run beside its feature's.
        dimension: `feature`, `user`, `model` ... whose calls they are; a `run` belongs to a feature.
        name: Which of them; `""` for calls without one.
        at: When it was noticed.
        since: When it began, as far as can be told.
        usual_usd: The usual cost at these hours: of a call, of a run, or of all calls to be expected.
        seen_usd: The cost since then, likewise.
        calls: Calls since then.
        change: What drove the change since the usual of all hours; None where nothing is known of that, and
            for a run.
        record_id: The call by which it was noticed.
        attribution: Whose that call was.
        part_of: The id of an open episode of a wider dimension that contains this one; such a one is listed
            but not told.
        ended_at: When it was over; None while it lasts.
        ended: `recovered`, or `accepted` where it has lasted so long that it is the usual now.
        id: The same for the same episode.
    """

    kind: AnomalyKind
    dimension: str
    name: str
    at: datetime
    since: datetime
    usual_usd: Decimal
    seen_usd: Decimal
    calls: int
    change: CostChange | None = None
    record_id: str | None = None
    attribution: Mapping[str, object] = field(default_factory=dict, hash=False)
    part_of: str | None = None
    ended_at: datetime | None = None
    ended: Ended | None = None
    id: str = ""

    @property
    def factor(self) -> float | None:
        """How many times as dear as usual; None where nothing is known of what was usual."""
        return float(self.seen_usd / self.usual_usd) if self.usual_usd > 0 else None

    @property
    def driver(self) -> str | None:
        """What drove most of the change."""
        return None if self.change is None else self.change.main_driver

    def __str__(self) -> str:
        who = f"of {self.dimension} {self.name!r}" if self.name else f"without a {self.dimension}"
        what = {
            "call": f"one call {who} cost {format_usd(self.seen_usd)}",
            "level": f"a call {who} costs {format_usd(self.seen_usd)}",
            "rate": f"{self.calls:,} calls {who} cost {format_usd(self.seen_usd)}",
            "run": f"one run {who} has cost {format_usd(self.seen_usd)} in {self.calls:,} calls",
        }[self.kind]
        factor = (
            "" if self.factor is None else f", {self.factor:,.1f}x the usual {format_usd(self.usual_usd)}"
        )
        why = f", mostly by {_WORDS[self.driver]}" if self.driver in _WORDS else ""
        return f"{what}{factor}{why} (since {self.since:%Y-%m-%d %H:%M %Z})"

    def to_dict(self) -> dict[str, Any]:
        """Return the episode as plain JSON types, amounts as text with all their digits."""
        return {
            "id": self.id,
            "kind": self.kind,
            "dimension": self.dimension,
            "name": self.name,
            "at": self.at.isoformat(),
            "since": self.since.isoformat(),
            "usual_usd": format(self.usual_usd, "f"),
            "seen_usd": format(self.seen_usd, "f"),
            "factor": self.factor,
            "calls": self.calls,
            "change": None if self.change is None else self.change.to_dict(),
            "record_id": self.record_id,
            "attribution": dict(self.attribution),
            "part_of": self.part_of,
            "ended_at": None if self.ended_at is None else self.ended_at.isoformat(),
            "ended": self.ended,
            "text": str(self),
        }
