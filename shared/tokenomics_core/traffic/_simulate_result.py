"""What a log would have cost with a plan, what that would have broken, and what cannot be known from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tokenomics_core.traffic._replay_call import ReplayedCall
from tokenomics_core.traffic._simulate_intervals import Interval

if TYPE_CHECKING:
    from tokenomics_core.rendering import Table

__all__ = ["Alarm", "Latency", "Quality", "Simulation", "WrongAnswers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongAnswers:
    """What the cache would have got wrong.

    Attributes:
        semantic: How many answers were served to another question than theirs.
        expected: How many of them are wrong by the policy's own chances, with a 95% interval.
        bound_share: Upper bound of wrong answers among all requests, as the policy knows it; None where it
            knows none yet.
        confidence: Of that bound.
        promised_share: What the policy is told to stay under; None for a policy without a bound.
        compared: How many of the semantic answers could be compared with the log's own answer.
        differing: How many of those say something else.
        differing_share: That as a share with a 95% interval; None where nothing could be compared.
        exact_compared: The same for the very same questions, which the model itself answers now so, now so.
        exact_differing: How many of those say something else: what the comparison takes for an error without
            there being one.
    """

    semantic: int = 0
    expected: Interval = field(default_factory=lambda: Interval(0.0, 0.0, 0.0))
    bound_share: float | None = None
    confidence: float | None = None
    promised_share: float | None = None
    compared: int = 0
    differing: int = 0
    differing_share: Interval | None = None
    exact_compared: int = 0
    exact_differing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good the answers of the chosen models are expected to be.

    Attributes:
        compared: Calls for which the router knows a chance for the chosen model and for that of the log.
        expected: Mean chance of a good answer in the chosen models; None without a router.
        expected_in_log: The same for the models of the log.
        scored: Calls of which the log holds feedback on both answers.
        score: Mean of that feedback for the chosen answers.
        score_in_log: The same for those of the log.
    """

    compared: int = 0
    expected: float | None = None
    expected_in_log: float | None = None
    scored: int = 0
    score: float | None = None
    score_in_log: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long callers would have waited; refused calls are left out.

    Attributes:
        calls: Of how many calls the log tells.
        total_s: All their seconds.
        total_in_log_s: The same in the log.
        median_s: Of one call; None where nothing is known.
        median_in_log_s: The same in the log.
    """

    calls: int = 0
    total_s: float = 0.0
    total_in_log_s: float = 0.0
    median_s: float | None = None
    median_in_log_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A threshold of a budget that would have been passed."""

    scope: str
    key: str
    window: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Simulation:
    """What a log would have cost with a plan.

    Attributes:
        requests: Records of the log.
        log_usd: What they cost, as far as prices are known.
        usd: What they would have cost.
        saved_usd: The difference; the parts in `saved_by` add up to it exactly.
        saved_by: By `cache`, `compress`, `route` and `budget`.
        difference: What a log like this one would save, with a 95% interval over conversations.
        clusters: How many conversations that is drawn from.
        served: How many calls were served how: `model`, `exact`, `semantic`, `refused`, `log`.
        left: Why calls were left as they are, and how many.
        routed_down: Calls that went to a cheaper model than the log's.
        routed_up: Calls that went to a dearer one.
        routed: Calls by tier.
        shortened: Calls with a shorter prompt.
        tokens_cut: Input tokens that this spared.
        refused_by: Limits, and how many calls each refused.
        refused_usd: What the refused calls cost in the log.
        wrong: What the cache would have got wrong.
        quality: How good the chosen models' answers are expected to be.
        latency: How long callers would have waited.
        alerts: Thresholds of budgets that would have been passed.
        estimated_calls: Calls whose cost is an estimate, as the log does not hold their answer.
        estimated_usd: What they were taken to cost.
        unpriced_calls: Calls without a known price, in neither sum.
        unknowns: What the log cannot tell, in sentences.
        calls: Every call, where they were kept.
    """

    requests: int
    log_usd: Decimal
    usd: Decimal
    saved_by: Mapping[str, Decimal]
    difference: Interval
    clusters: int
    served: Mapping[str, int]
    left: Mapping[str, int] = field(default_factory=dict)
    routed_down: int = 0
    routed_up: int = 0
    routed: Mapping[str, int] = field(default_factory=dict)
    shortened: int = 0
    tokens_cut: int = 0
    refused_by: Mapping[str, int] = field(default_factory=dict)
    refused_usd: Decimal = Decimal(0)
    wrong: WrongAnswers = field(default_factory=WrongAnswers)
    quality: Quality = field(default_factory=Quality)
    latency: Latency = field(default_factory=Latency)
    alerts: tuple[Alarm, ...] = ()
    estimated_calls: int = 0
    estimated_usd: Decimal = Decimal(0)
    unpriced_calls: int = 0
    unknowns: tuple[str, ...] = ()
    calls: Sequence[ReplayedCall] = field(default=(), compare=False)

    @property
    def saved_usd(self) -> Decimal:
        """What the log would have cost less."""
        return self.log_usd - self.usd

    @property
    def saved_share(self) -> float | None:
        """The same as a share of what the log cost; None for a log that cost nothing."""
        return float(self.saved_usd / self.log_usd) if self.log_usd else None

    @property
    def wrong_share(self) -> float:
        """Expected wrong answers of the cache as a share of all requests."""
        return self.wrong.expected.value / self.requests if self.requests else 0.0

    @property
    def worse_share(self) -> float:
        """Share of all requests that are expected to be served worse than in the log.

        Wrong answers of the cache by the policy's own chances, good answers lost to cheaper models by the
        router's, and refusals. What a shorter prompt does to an answer is not in it: a log cannot tell.
        """
        lost = 0.0
        if self.quality.expected is not None and self.quality.expected_in_log is not None:
            lost = max(self.quality.expected_in_log - self.quality.expected, 0.0) * self.quality.compared
        worse = self.wrong.expected.value + lost + self.served.get("refused", 0)
        return min(worse / self.requests, 1.0) if self.requests else 0.0

    def share(self, served: str) -> float:
        """Return the share of the log's requests that were served so."""
        return self.served.get(served, 0) / self.requests if self.requests else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the calls as plain JSON types; amounts are strings."""
        out = {item.name: _plain(getattr(self, item.name)) for item in fields(self) if item.name != "calls"}
        return {
            **out,
            "saved_usd": _plain(self.saved_usd),
            "wrong_share": self.wrong_share,
            "worse_share": self.worse_share,
        }

    def table(self) -> Table:
        """Return it as a table for a terminal or a page."""
        from tokenomics_core.traffic._simulate_table import table_of  # noqa: PLC0415 - only to show it

        return table_of(self)

    def __str__(self) -> str:
        from tokenomics_core.rendering import to_text  # noqa: PLC0415 - only to show it

        return to_text(self.table())

    def __repr__(self) -> str:
        return (
            f"<Simulation of {self.requests} requests: ${self.log_usd} in the log, ${self.usd} with the plan>"
        )

    def to_html(self) -> str:
        """Draw it as a fragment of HTML that needs nothing else."""
        from tokenomics_core.rendering import to_html  # noqa: PLC0415 - only to show it

        return to_html(self.table())

    def _repr_html_(self) -> str:
        return self.to_html()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Interval):
        return value.to_list()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, (WrongAnswers, Quality, Latency, Alarm)):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    return value
