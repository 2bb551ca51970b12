"""Put the shares of all workers together into one audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook, default_price_book
from tokenomics_core.traffic._audit_fixes import WASTES
from tokenomics_core.traffic._audit_frame import AuditFrame
from tokenomics_core.traffic._audit_lines import lines_of
from tokenomics_core.traffic._audit_money import Money, from_pico, sum_by
from tokenomics_core.traffic._audit_part import AuditPart
from tokenomics_core.traffic._audit_result import Audit, WasteFinding, per_month
from tokenomics_core.traffic._audit_template import templates_of
from tokenomics_core.traffic._waste_batch import batchable
from tokenomics_core.traffic._waste_context import oversized_context
from tokenomics_core.traffic._waste_found import Found
from tokenomics_core.traffic._waste_outputs import dear_model, unbounded_outputs
from tokenomics_core.traffic._waste_prefix import unstable_prefix
from tokenomics_core.traffic._waste_repeats import exact_repeats, near_repeats
from tokenomics_core.traffic._waste_runs import retries, runaway_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = ["merge_parts"]

_DAY_US: Final = 86_400_000_000
_EXAMPLES: Final = 5
_FEATURES: Final = 10
_MODELS: Final = 10
_PROBLEMS: Final = 20


def merge_parts(
    parts: Iterable[AuditPart],
    *,
    prices: PriceBook | None = None,
    month_days: float = 30,
    cheaper: Mapping[str, str] | None = None,
) -> Audit:
    """Audit the calls of all parts together; how they were parted makes no difference.

    Args:
        parts: From `audit_partition`, on whatever machine.
        prices: Where prices come from; the shared price book if left out.
        month_days: Days that count as a month.
        cheaper: By dear model the one that easy questions could go to; others are compared with the cheaper
            model of the same provider that the log uses most.

    Raises:
        ConfigurationError: `month_days` is not above 0, or what was given is no part.
    """
    if not month_days > 0:
        raise ConfigurationError(f"month_days must be above 0, not {month_days!r}; nothing was audited")
    held = list(parts)
    for part in held:
        if not isinstance(part, AuditPart):
            raise ConfigurationError(
                f"merge_parts takes what audit_partition returns, not {part!r:.60}; nothing was audited"
            )
    bad = sum(part.bad for part in held)
    problems = tuple(problem for part in held for problem in part.problems)[:_PROBLEMS]
    held = [part for part in held if part.rows]
    if not held:
        return Audit(rows=0, bad=bad, problems=problems, month_days=month_days)
    frame = AuditFrame(held)
    money = Money(frame, default_price_book() if prices is None else prices)
    templates = templates_of(frame)
    found = _wastes(frame, money, templates, cheaper or {})
    avoidable = _together(money.cost, found)
    span_days = max(1.0, float(frame.at_us[-1] - frame.at_us[0]) / _DAY_US)
    findings = [
        _finding(frame, kind, one, span_days, month_days) for kind, one in found.items() if len(one.rows)
    ]
    unpriced = frame.has("paid") & (money.cost < 0)
    return Audit(
        rows=frame.rows,
        bad=bad,
        paid_calls=int(frame.has("paid").sum()),
        cached_calls=int(frame.lacks("paid").sum()),
        unpriced_calls=int(unpriced.sum()),
        unpriced_models=_unpriced_models(frame, money, unpriced),
        total_usd=_sum(np.maximum(money.cost, 0)),
        avoidable_usd=_sum(avoidable),
        since=frame.at(0),
        until=frame.at(frame.rows - 1),
        span_days=span_days,
        month_days=month_days,
        lines=lines_of(frame, money, templates, avoidable),
        wastes=tuple(sorted(findings, key=lambda finding: (-finding.usd, finding.kind))),
        problems=problems,
        notes=tuple(_notes(frame, money)),
    )


def _wastes(frame: AuditFrame, money: Money, templates: Ints, cheaper: Mapping[str, str]) -> dict[str, Found]:
    exact, repeated = exact_repeats(frame, money)
    return {
        "exact_repeats": exact,
        "near_repeats": near_repeats(frame, money, repeated),
        "unstable_prefix": unstable_prefix(frame, money),
        "oversized_context": oversized_context(frame, money),
        "dear_model": dear_model(frame, money, cheaper),
        "runaway_runs": runaway_runs(frame, money),
        "retries": retries(frame, money),
        "unbounded_outputs": unbounded_outputs(frame, money),
        "batchable": batchable(frame, money, templates),
    }


def _together(cost: Ints, found: Mapping[str, Found]) -> Ints:
    """Return what all wastes would have saved of each call: each takes its share of what the others leave.

    So two ways to save half of a call save three quarters, and never is more saved than the call cost.
    """
    left = np.ones(len(cost))
    for one in found.values():
        left[one.rows] *= 1.0 - one.pico / cost[one.rows]
    saved = np.rint(np.maximum(cost, 0) * (1.0 - left)).astype(np.int64)
    return np.clip(saved, 0, np.maximum(cost, 0))


def _finding(frame: AuditFrame, kind: str, found: Found, span_days: float, month_days: float) -> WasteFinding:
    text = WASTES[kind]
    usd = _sum(found.pico)
    dearest = np.argsort(-found.pico, kind="stable")[:_EXAMPLES]
    features = frame.column("feature")[found.rows]
    names = [*frame.names["features"], ""]
    sums = sum_by(np.where(features < 0, len(names) - 1, features), found.pico, len(names))
    ranked = sorted(range(len(names)), key=lambda place: (-sums[place], names[place]))[:_FEATURES]
    return WasteFinding(
        kind=kind,
        title=text.title,
        calls=len(found.rows),
        usd=usd,
        usd_per_month=per_month(usd, span_days, month_days),
        confidence=text.confidence,
        probability=found.probability,
        fix=text.fix,
        why=f"{text.why} ({found.details})" if found.details else text.why,
        examples=tuple(frame.wheres(found.rows[dearest])),
        by_feature={names[place]: from_pico(sums[place]) for place in ranked if sums[place]},
    )


def _sum(pico: Ints) -> Decimal:
    return from_pico(sum_by(np.zeros(len(pico), np.int64), pico, 1)[0])


def _unpriced_models(frame: AuditFrame, money: Money, unpriced: NDArray[np.bool_]) -> dict[str, int]:
    calls: dict[str, int] = {}
    codes, counts = np.unique(money.models[unpriced], return_counts=True)
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        name = frame.model_of(code)[0]
        calls[name] = calls.get(name, 0) + count
    ranked = sorted(calls.items(), key=lambda pair: (-pair[1], pair[0]))
    return dict(ranked[:_MODELS])


def _notes(frame: AuditFrame, money: Money) -> list[str]:
    notes = []
    if frame.doubles:
        notes.append(
            f"{frame.doubles:,} calls stood in the log again, with the same id and time; not counted."
        )
    silent = int((frame.has("paid") & frame.lacks("content")).sum())
    if silent:
        notes.append(
            f"{silent:,} paid calls stand in the log without their messages: of repeats, prefixes, contexts, "
            "difficulty and retries nothing is known there."
        )
    reported = frame.column("own_pico")
    known = money.listed & (reported >= 0)
    if known.any():
        ours, theirs = _sum(money.cost[known]), _sum(reported[known])
        if ours and abs(ours - theirs) > ours / 100:
            notes.append(
                f"Where the log tells costs, it says {theirs:.2f} USD; by the price book these calls cost "
                f"{ours:.2f} USD, which is what is counted here."
            )
    return notes
