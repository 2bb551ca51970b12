"""Draw what was found out about a router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenomics_core.rendering import (
    Cell,
    Column,
    Figure,
    Group,
    Level,
    Notice,
    Row,
    Table,
    format_count,
    format_percent,
    format_usd,
)
from tokenomics_core.routing._bootstrap import Estimate
from tokenomics_core.routing._evaluation import DecidedResult, RankedResult, RouterEvaluation, TierResult

__all__ = ["evaluation_dict", "evaluation_table", "interval_text"]

_DASH = "\N{EN DASH}"


def evaluation_table(result: RouterEvaluation) -> Table:
    """Return a table of orders of questions, then of decisions, then of single tiers."""
    ends = (result.tiers[0], result.tiers[-1])
    groups = [Group("order of questions", (*_ranked_rows(result), _chance_row(), _oracle_row(result)))]
    if result.decided is not None:
        groups.append(Group("decisions", (_decided_row(result.decided),)))
    groups.append(Group("one tier for everything", tuple(_tier_row(result, tier) for tier in result.tiers)))
    return Table(
        title="Router evaluation",
        subtitle=f"{format_count(result.questions)} questions, {ends[0].name} to {ends[1].name}",
        figures=_figures(result),
        columns=(
            Column(title="", strong=True),
            Column(title="APGR"),
            Column(title="share for 50%", kind="percent", priority=2),
            Column(title="share for 80%", kind="percent", priority=1),
            Column(title="regret", priority=4),
            Column(title="saved at 95%", priority=1),
            Column(title="AIQ", priority=3),
            Column(title="quality"),
            Column(title="per 1,000", kind="money"),
        ),
        groups=tuple(groups),
        notices=_notices(result),
    )


def interval_text(estimate: Estimate | None, *, percent: bool = False) -> str:
    """Write a number with its interval."""
    if estimate is None:
        return _DASH
    if not percent:
        return str(estimate)
    text = format_percent(estimate.value)
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{format_percent(estimate.low)}, {format_percent(estimate.high)}]"


def evaluation_dict(result: RouterEvaluation) -> dict[str, Any]:
    """Return every number as plain values."""
    decided = result.decided
    return {
        "questions": result.questions,
        "left_out": result.left_out,
        "confidence": result.confidence,
        "resamples": result.resamples,
        "seed": result.seed,
        "escalates": result.escalates,
        "router": _ranked_dict(result.router),
        "baselines": [_ranked_dict(other) for other in result.baselines],
        "oracle": _ranked_dict(result.oracle),
        "oracle_quality": result.oracle_quality,
        "zero_aiq": _plain(result.zero_aiq),
        "best_single": result.best_single.name,
        "tiers": [
            {
                "name": tier.name,
                "quality": _plain(tier.quality),
                "usd_per_1000": tier.usd_per_1000,
                "dominated_by": tier.dominated_by,
            }
            for tier in result.tiers
        ],
        "decided": None
        if decided is None
        else {
            "shares": dict(decided.shares),
            "quality": _plain(decided.quality),
            "usd_per_1000": _plain(decided.usd_per_1000),
            "above_mixture": _plain(decided.above_mixture),
            "saving": _plain(decided.saving),
            "regret": _plain(decided.regret),
        },
        "cautions": list(result.cautions),
    }


def _figures(result: RouterEvaluation) -> tuple[Figure, ...]:
    router, length = result.router.apgr, result.baselines[0]
    good = router is not None and router.low is not None and router.low > 0.5
    level: Level = "good" if good else "warning"
    figures = [Figure("APGR, chance 0.5", Cell(interval_text(router), level=level))]
    if length.behind is not None:
        figures.append(Figure(f"above {length.name}", Cell(interval_text(length.behind))))
    best = result.best_single
    figures.append(Figure("best single tier", Cell(f"{best.name} at {best.quality.value:.3f}")))
    if result.decided is not None and result.decided.saving is not None:
        saving = result.decided.saving
        paid: Level = "good" if saving.value > 0 else "error"
        figures.append(
            Figure("saved by its decisions", Cell(interval_text(saving, percent=True), level=paid))
        )
    return tuple(figures)


def _ranked_rows(result: RouterEvaluation) -> tuple[Row, ...]:
    return tuple(_ranked_row(ranked) for ranked in (result.router, *result.baselines))


def _ranked_row(ranked: RankedResult) -> Row:
    return Row(
        (
            Cell(ranked.name),
            Cell(interval_text(ranked.apgr)),
            _share(ranked.share_for, 0.5),
            _share(ranked.share_for, 0.8),
            Cell(_short(ranked.regret)),
            Cell(interval_text(ranked.saving_at.get(0.95), percent=True)),
            Cell(_short(ranked.aiq)),
            Cell(""),
            Cell(""),
        )
    )


def _chance_row() -> Row:
    cells = ("chance", "0.500", 0.5, 0.8, "", "", "", "", "")
    return Row(tuple(Cell(value, level="muted") for value in cells))


def _oracle_row(result: RouterEvaluation) -> Row:
    cells = list(_ranked_row(result.oracle).cells)
    cells[-2] = Cell(f"{result.oracle_quality:.3f}")
    return Row(tuple(cells))


def _decided_row(decided: DecidedResult) -> Row:
    shares = ", ".join(f"{name} {format_percent(share)}" for name, share in decided.shares.items() if share)
    money = None if decided.usd_per_1000 is None else decided.usd_per_1000.value
    blank = Cell("")
    return Row(
        (
            Cell(shares),
            *([blank] * 3),
            Cell(_short(decided.regret)),
            Cell(""),
            blank,
            Cell(interval_text(decided.quality)),
            Cell(money),
        )
    )


def _tier_row(result: RouterEvaluation, tier: TierResult) -> Row:
    best = tier.name == result.best_single.name
    notes = ["best single"] if best else []
    if tier.dominated_by is not None:
        notes.append(f"beaten by {tier.dominated_by}")
    return Row(
        (
            Cell(tier.name, note=", ".join(notes), note_level="warning" if tier.dominated_by else "muted"),
            *([Cell("")] * 6),
            Cell(str(tier.quality)),
            Cell(tier.usd_per_1000),
        )
    )


def _notices(result: RouterEvaluation) -> tuple[Notice, ...]:
    notices = [Notice(text, "warning") for text in result.cautions]
    notices += [
        Notice(f"The router's APGR is above that of {other.name} by {other.behind}.")
        for other in result.baselines
        if other.behind is not None
    ]
    if result.zero_aiq is not None:
        notices.append(Notice(f"Mixing single tiers blindly has an AIQ of {result.zero_aiq}."))
    decided = result.decided
    if decided is not None and decided.above_mixture is not None:
        at = "" if decided.usd_per_1000 is None else f" at {format_usd(decided.usd_per_1000.value)} per 1,000"
        notices.append(
            Notice(
                f"The decisions are above a blind mixture of tiers{at} by {decided.above_mixture} of quality."
            )
        )
    percent = format_percent(result.confidence)
    notices.append(
        Notice(
            f"{percent} bootstrap intervals: {format_count(result.resamples)} resamples, seed {result.seed}."
        )
    )
    return tuple(notices)


def _share(shares: Mapping[float, Estimate | None], recovered: float) -> Cell:
    found = shares.get(recovered)
    return Cell(None if found is None else found.value)


def _short(estimate: Estimate | None) -> str:
    return _DASH if estimate is None else f"{estimate.value:.3f}"


def _ranked_dict(ranked: RankedResult) -> dict[str, Any]:
    return {
        "name": ranked.name,
        "apgr": _plain(ranked.apgr),
        "share_for": {f"{share:g}": _plain(found) for share, found in ranked.share_for.items()},
        "regret": _plain(ranked.regret),
        "saving_at": {f"{kept:g}": _plain(found) for kept, found in ranked.saving_at.items()},
        "aiq": _plain(ranked.aiq),
        "behind": _plain(ranked.behind),
    }


def _plain(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
