"""Sums over replayed calls, kept while they go by."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from tokenomics_core.traffic._replay_call import ReplayedCall
from tokenomics_core.traffic._simulate_intervals import chances_interval, share_interval, sum_interval
from tokenomics_core.traffic._simulate_plan import Plan
from tokenomics_core.traffic._simulate_result import Alarm, Latency, Quality, Simulation, WrongAnswers
from tokenomics_core.traffic._simulate_unknowns import unknowns_of

if TYPE_CHECKING:
    from tokenomics_core.cache import PolicyReport

__all__ = ["Tally"]

# Not the ambient context: a caller may have set a low precision, and a sum of money does not depend on that.
_EXACT = Context(prec=200)
_add, _minus = _EXACT.add, _EXACT.subtract
_ZERO = Decimal(0)
_PARTS = ("cache", "compress", "route", "budget")


class Tally:
    """Adds calls up; of each it keeps a few numbers at most."""

    def __init__(self) -> None:
        self._requests = self._unpriced = self._estimated = self._shortened = self._cut = 0
        self._log_usd = self._usd = self._estimated_usd = self._refused_usd = _ZERO
        self._saved = dict.fromkeys(_PARTS, _ZERO)
        self._served: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        self._routed: Counter[str] = Counter()
        self._refused_by: Counter[str] = Counter()
        self._moved: Counter[str] = Counter()
        self._agreed: Counter[tuple[str, bool]] = Counter()
        self._clusters: dict[tuple[str, str], float] = {}
        self._chances: list[float] = []
        self._latencies: list[tuple[float, float]] = []
        self._qualities: list[tuple[float, float]] = []
        self._scores: list[tuple[float, float]] = []

    def add(self, call: ReplayedCall) -> None:
        """Take in one call."""
        self._requests += 1
        self._served[call.served] += 1
        if call.served == "log":
            self._left[call.why] += 1
        if call.refused_by is not None:
            self._refused_by[call.refused_by] += 1
        if call.tier is not None:
            self._routed[call.tier] += 1
        self._add_money(call)
        self._add_risk(call)

    def _add_money(self, call: ReplayedCall) -> None:
        saved = call.saved_usd
        if saved is None or call.log_usd is None or call.usd is None:
            self._unpriced += 1
            return
        self._log_usd, self._usd = _add(self._log_usd, call.log_usd), _add(self._usd, call.usd)
        who = call.attribution
        cluster = ("c", who.conversation) if who.conversation else ("#", str(self._requests))
        self._clusters[cluster] = self._clusters.get(cluster, 0.0) + float(saved)
        if call.served == "refused":
            self._refused_usd = _add(self._refused_usd, call.log_usd)
            self._saved["budget"] = _add(self._saved["budget"], saved)
        elif call.is_hit:
            self._saved["cache"] = _add(self._saved["cache"], saved)
        else:
            self._saved["compress"] = _add(self._saved["compress"], call.compress_usd)
            self._saved["route"] = _add(self._saved["route"], _minus(saved, call.compress_usd))
            self._add_moves(call, saved)

    def _add_moves(self, call: ReplayedCall, saved: Decimal) -> None:
        if call.model != call.log_model and call.tier is not None:
            self._moved["down" if saved - call.compress_usd > 0 else "up"] += 1
        if call.is_shortened:
            self._shortened += 1
            self._cut += call.tokens_cut
        if not call.is_known:
            self._estimated += 1
            self._estimated_usd = _add(self._estimated_usd, call.usd or _ZERO)

    def _add_risk(self, call: ReplayedCall) -> None:
        if call.served == "semantic":
            self._chances.append(1.0 - (call.probability or 0.0))
        if call.is_hit and call.agrees is not None:
            self._agreed[call.served, call.agrees] += 1
        if call.latency_s is not None and call.log_latency_s is not None:
            self._latencies.append((call.latency_s, call.log_latency_s))
        if call.served == "model" and call.quality is not None and call.log_quality is not None:
            self._qualities.append((call.quality, call.log_quality))
        if call.served == "model" and call.score is not None and call.log_score is not None and call.is_known:
            self._scores.append((call.score, call.log_score))

    def result(self, plan: Plan, *, seed: int, calls: Sequence[ReplayedCall]) -> Simulation:
        """Return the sums with their intervals."""
        parts = list(self._clusters.values())
        return Simulation(
            requests=self._requests,
            log_usd=self._log_usd,
            usd=self._usd,
            saved_by=self._saved,
            difference=sum_interval(parts, seed=seed),
            clusters=len(parts),
            served={name: self._served[name] for name in ("model", "exact", "semantic", "refused", "log")},
            left=dict(self._left.most_common()),
            routed_down=self._moved["down"],
            routed_up=self._moved["up"],
            routed=dict(self._routed),
            shortened=self._shortened,
            tokens_cut=self._cut,
            refused_by=dict(self._refused_by.most_common()),
            refused_usd=self._refused_usd,
            wrong=self._wrong(plan),
            quality=self._quality(),
            latency=self._latency(),
            alerts=tuple(map(_alarm, plan.alerts)),
            estimated_calls=self._estimated,
            estimated_usd=self._estimated_usd,
            unpriced_calls=self._unpriced,
            unknowns=unknowns_of(
                plan,
                estimated=self._estimated,
                unpriced=self._unpriced,
                hits=self._served["exact"] + self._served["semantic"],
                refused=self._served["refused"],
                shortened=self._shortened,
                left=dict(self._left),
            ),
            calls=calls,
        )

    def _wrong(self, plan: Plan) -> WrongAnswers:
        cache = plan.cache
        report: PolicyReport | None = None if cache is None else cache.policy.report(cache.namespace)
        differing = self._agreed["semantic", False]
        compared = differing + self._agreed["semantic", True]
        exact_differing = self._agreed["exact", False]
        return WrongAnswers(
            semantic=self._served["semantic"],
            expected=chances_interval(self._chances),
            bound_share=None if report is None else report.error_upper,
            confidence=None if report is None else report.confidence,
            promised_share=None if report is None else report.max_error,
            compared=compared,
            differing=differing,
            differing_share=share_interval(differing, compared),
            exact_compared=exact_differing + self._agreed["exact", True],
            exact_differing=exact_differing,
        )

    def _quality(self) -> Quality:
        now, was = _means(self._qualities)
        score, log_score = _means(self._scores)
        return Quality(
            compared=len(self._qualities),
            expected=now,
            expected_in_log=was,
            scored=len(self._scores),
            score=score,
            score_in_log=log_score,
        )

    def _latency(self) -> Latency:
        known = self._latencies
        return Latency(
            calls=len(known),
            total_s=sum(now for now, _ in known),
            total_in_log_s=sum(was for _, was in known),
            median_s=statistics.median(now for now, _ in known) if known else None,
            median_in_log_s=statistics.median(was for _, was in known) if known else None,
        )


def _means(pairs: Sequence[tuple[float, float]]) -> tuple[float | None, float | None]:
    if not pairs:
        return None, None
    return sum(now for now, _ in pairs) / len(pairs), sum(was for _, was in pairs) / len(pairs)


def _alarm(alert: Any) -> Alarm:  # an `Alert` of whatever budgets were given
    return Alarm(scope=alert.scope, key=alert.key, window=alert.window, share=alert.threshold)
