"""What was found out about a router, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenomics_core.routing._bootstrap import Estimate
from tokenomics_core.routing._curve import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tokenomics_core.rendering import Table

__all__ = ["DecidedResult", "RankedResult", "RouterEvaluation", "TierResult"]

_FEW = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TierResult:
    """What one tier does alone.

    Attributes:
        name: The tier.
        quality: Mean quality of its answers.
        usd_per_1000: What 1,000 of its answers cost; None where costs are unknown.
        dominated_by: Another tier that is as good and cheaper, or better and not dearer; None without.
    """

    name: str
    quality: Estimate
    usd_per_1000: float | None
    dominated_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedResult:
    """How well a score orders questions, whatever the threshold.

    Attributes:
        name: What scored.
        curve: Quality by the share of questions sent to the strongest tier.
        apgr: Area of the quality gap recovered; chance is 0.5. None where there is no gap.
        share_for: By recovered share of the gap, the least share of strong calls (CPT).
        regret: Mean quality that hindsight adds at the same share of strong calls.
        saving_at: By kept share of the strongest tier's quality, what is saved against it; empty without
            costs.
        aiq: Mean quality over costs between the cheapest and the dearest tier, mixing freely; None without
            costs or chances.
        behind: The router's APGR minus this one's on the same resamples; None for the router itself.
    """

    name: str
    curve: Curve
    apgr: Estimate | None
    share_for: Mapping[float, Estimate | None]
    regret: Estimate | None
    saving_at: Mapping[float, Estimate | None]
    aiq: Estimate | None
    behind: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedResult:
    """What a router's own decisions reach.

    Attributes:
        shares: By tier the share of questions it was chosen for.
        quality: Mean quality.
        usd_per_1000: Cost of 1,000 questions, the router's own cost included; None where unknown.
        above_mixture: Quality above that of mixing single tiers blindly at the same cost (zero router);
            without costs, at the same share of every tier.
        saving: Share of the dearest tier's cost that is saved, the router's own cost paid; may be negative.
        regret: Quality that choosing in hindsight adds, where costs are known among tiers that cost no more
            for the question than the one chosen.
    """

    shares: Mapping[str, float]
    quality: Estimate | None
    usd_per_1000: Estimate | None
    above_mixture: Estimate | None
    saving: Estimate | None
    regret: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterEvaluation:
    """A router beside chance, prompt length, every single tier and an oracle.

    Attributes:
        router: The router's order of questions.
        baselines: Others on the same questions.
        oracle: The order that hindsight gives.
        tiers: What each tier does alone, the weakest first.
        decided: What its own decisions reach; None for a mere score or classifier.
        zero_aiq: AIQ of mixing single tiers blindly; None without costs.
        oracle_quality: Mean quality of the best answer to each question.
        questions: How many questions were measured on.
        left_out: Records that lack a tier's outcome.
        confidence: Of every interval.
        resamples: Bootstrap draws behind every interval.
        seed: Of the draws.
        escalates: Whether a strong answer also pays for the weak one.
    """

    router: RankedResult
    baselines: tuple[RankedResult, ...]
    oracle: RankedResult
    tiers: tuple[TierResult, ...]
    decided: DecidedResult | None
    zero_aiq: Estimate | None
    oracle_quality: float
    questions: int
    left_out: int
    confidence: float
    resamples: int
    seed: int
    escalates: bool

    @property
    def best_single(self) -> TierResult:
        """The tier with the best mean quality, the cheaper one on a tie."""
        return max(self.tiers, key=lambda tier: (tier.quality.value, -(tier.usd_per_1000 or 0.0)))

    @property
    def cautions(self) -> tuple[str, ...]:
        """What a reader should know before trusting the numbers."""
        return tuple(_cautions(self))

    def plot(self, *, by: str = "share", title: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw quality over the share of strong calls, or over cost.

        Args:
            by: `share` or `cost`.
            title: Stands above.
            ax: Where to draw; None for a new figure.

        Raises:
            ConfigurationError: `by` is neither, or costs are unknown; nothing was drawn.
            MissingExtraError: matplotlib is not installed.
        """
        from tokenomics_core.routing._evaluate_plot import plot_evaluation  # noqa: PLC0415 - drawing is rare

        return plot_evaluation(self, by=by, title=title, ax=ax)

    def to_dict(self) -> dict[str, Any]:
        """Return every number as plain values, for a file."""
        from tokenomics_core.routing._evaluate_table import evaluation_dict  # noqa: PLC0415 - likewise

        return evaluation_dict(self)

    def table(self) -> Table:
        """Return the table that the other forms draw."""
        from tokenomics_core.routing._evaluate_table import evaluation_table  # noqa: PLC0415 - likewise

        return evaluation_table(self)

    def __str__(self) -> str:
        from tokenomics_core.rendering import to_text  # noqa: PLC0415 - likewise

        return to_text(self.table())

    def _repr_html_(self) -> str:
        from tokenomics_core.rendering import to_html  # noqa: PLC0415 - likewise

        return to_html(self.table())

    def __rich__(self) -> Any:
        from tokenomics_core.rendering import to_rich  # noqa: PLC0415 - likewise

        return to_rich(self.table())


def _cautions(result: RouterEvaluation) -> Iterable[str]:
    strongest, weakest = result.tiers[-1], result.tiers[0]
    if result.router.apgr is None:
        yield f"{strongest.name} is not better than {weakest.name} here: the cheaper of the two is the route"
    elif result.router.apgr.low is None or result.router.apgr.low <= 0.5:
        yield "the router is not shown to be better than chance"
    for other in result.baselines:
        if other.behind is not None and other.behind.high is not None and other.behind.high < 0:
            yield f"{other.name} orders the questions better than the router"
    for tier in result.tiers:
        if tier.dominated_by is not None:
            yield f"{tier.name} is no better than {tier.dominated_by} and no cheaper: leave it out"
    decided = result.decided
    if decided is not None and decided.quality is not None:
        for tier in result.tiers:
            if (
                decided.usd_per_1000 is not None
                and tier.usd_per_1000 is not None
                and tier.usd_per_1000 <= decided.usd_per_1000.value
                and tier.quality.value >= decided.quality.value
            ):
                yield f"{tier.name} alone is as good as these decisions and costs no more"
    if decided is not None and decided.saving is not None and decided.saving.value < 0:
        yield "the decisions cost more than the dearest tier alone"
    if result.questions < _FEW:
        yield f"{result.questions} questions are few: differences below some points mean nothing"
    if result.left_out:
        yield f"{result.left_out} records lack a tier's outcome and were left out"
