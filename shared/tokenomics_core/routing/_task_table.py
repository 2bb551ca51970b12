"""Know each task's own success rates: where the task is given, a table beats reading the text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._outcomes import OutcomeRecord, record_of
from tokenomics_core.routing._protocols import Assessment, AsyncClassifier, Classifier
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._tier import Tier

__all__ = ["TaskTable"]

_FORMAT, _VERSION = "tokenomics-task-table", 1


class TaskTable:
    """Predict each tier's chance from its mean score on the task that the caller names.

    A task's mean is drawn towards the tier's mean over all tasks by `prior_count` imagined outcomes, so that
    three lucky answers do not move a tier. A request without a task, or with one that was
    not learned, goes to `otherwise`, which may also have a share in the chances where the task is known.

    Attributes:
        sums_: By task and tier, the sum of scores and how many there were.
        overall_: By tier, the mean over all tasks.
    """

    name = "task_table"

    def __init__(
        self,
        *,
        otherwise: Classifier | None = None,
        otherwise_share: float = 0.0,
        prior_count: float = 20.0,
    ) -> None:
        """Set what to do without a task.

        Args:
            otherwise: Assesses requests whose task is unknown; None: the overall means, out of domain.
            otherwise_share: What it counts where the task is known, in [0, 1]. For a classifier fitted
                on the same tiers 0.25 to 0.5 is a little better than 0; each decision then asks it too.
            prior_count: Weight of the overall mean, in outcomes; 20 is what held up on MMLU's subjects.

        Raises:
            ConfigurationError: `prior_count` is not above 0, or `otherwise_share` outside [0, 1].
        """
        if not prior_count > 0 or prior_count == float("inf"):
            raise ConfigurationError(f"prior_count must be above 0, not {prior_count!r}")
        if not 0 <= otherwise_share <= 1:
            raise ConfigurationError(f"otherwise_share must be in [0, 1], not {otherwise_share!r}")
        self.otherwise, self.otherwise_share, self.prior_count = otherwise, otherwise_share, prior_count
        self.sums_: dict[str, dict[str, tuple[float, int]]] = {}
        self.overall_: dict[str, float] = {}

    def fit(self, tasks: Sequence[str], outcomes: Mapping[str, Sequence[float | None]]) -> TaskTable:
        """Learn from outcomes by task.

        Args:
            tasks: The task of each question, n of them.
            outcomes: By tier n scores in [0, 1]; None or NaN where it was not asked.

        Raises:
            ConfigurationError: Not one score for each task, or a score outside [0, 1]; nothing was learned.
        """
        sums: dict[str, dict[str, tuple[float, int]]] = {}
        for tier, scores in outcomes.items():
            if len(scores) != len(tasks):
                raise ConfigurationError(
                    f"{len(scores)} outcomes of tier {tier!r} for {len(tasks)} tasks; nothing was learned"
                )
            for task, score in zip(tasks, scores, strict=True):
                if score is not None and score == score:  # noqa: PLR0124 - NaN is the number unlike itself
                    _add(sums, task, tier, score)
        return self._learn(sums)

    def fit_records(self, records: Iterable[OutcomeRecord | Mapping[str, Any]]) -> TaskTable:
        """Learn from one's own log; records without a task count only towards the overall means.

        Raises:
            ConfigurationError: A record cannot be read; nothing was learned.
        """
        sums: dict[str, dict[str, tuple[float, int]]] = {}
        for number, raw in enumerate(records, start=1):
            record = record_of(number, raw)
            for tier, score in record.scores().items():
                _add(sums, record.task or "", tier, score)
        return self._learn(sums)

    def chances(self, task: str | None) -> dict[str, float]:
        """Return each tier's chance on a task; the overall means where it was not learned."""
        learned = self.sums_.get(task, {}) if task else {}
        chances = {}
        for tier, overall in self.overall_.items():
            total, number = learned.get(tier, (0.0, 0))
            chances[tier] = (total + self.prior_count * overall) / (number + self.prior_count)
        return chances

    def assess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Assess by the request's task, or as `otherwise` does.

        Raises:
            ConfigurationError: Nothing was learned.
        """
        known = self._knows(request)
        inner = None
        if self.otherwise is not None and (self.otherwise_share or not known):
            inner = self.otherwise.assess(request, tiers)
        return self._join(request, tiers, inner, known=known)

    async def aassess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Assess without blocking the event loop: an `otherwise` that asks a model is awaited."""
        known = self._knows(request)
        if not isinstance(self.otherwise, AsyncClassifier) or (known and not self.otherwise_share):
            return self.assess(request, tiers)
        return self._join(request, tiers, await self.otherwise.aassess(request, tiers), known=known)

    def _join(
        self, request: RouteRequest, tiers: Sequence[Tier], inner: Assessment | None, *, known: bool
    ) -> Assessment:
        if inner is not None and not known:
            return replace(inner, reasons=(*inner.reasons, _unknown(request.task)))
        own = self._look_up(request, tiers, known=known)
        if inner is None:
            return own
        chances, share = dict(own.probabilities), self.otherwise_share
        if not inner.out_of_domain:
            for name in chances.keys() & inner.probabilities.keys():
                chances[name] = (1 - share) * chances[name] + share * inner.probabilities[name]
        return replace(own, probabilities=chances, score=_gain(chances, tiers), cost_usd=inner.cost_usd)

    def _knows(self, request: RouteRequest) -> bool:
        if not self.overall_:
            raise ConfigurationError("this TaskTable has not learned anything; call fit or load first")
        return bool(request.task) and request.task in self.sums_

    def _look_up(self, request: RouteRequest, tiers: Sequence[Tier], *, known: bool) -> Assessment:
        every = self.chances(request.task)
        chances = {tier.name: every[tier.name] for tier in tiers if tier.name in every}
        return Assessment(
            name=self.name,
            probabilities=chances,
            score=_gain(chances, tiers),
            out_of_domain=not known,
            reasons=(f"task {request.task!r}",) if known else (_unknown(request.task),),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table as versioned JSON, whole or not at all.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        target = Path(path)
        beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        data = {"format": _FORMAT, "version": _VERSION, "prior_count": self.prior_count, "sums": self.sums_}
        try:
            beside.write_text(json.dumps(data, ensure_ascii=False) + "\n", encoding="utf-8")
            beside.replace(target)
        except OSError as error:
            raise ConfigurationError(
                f"{target} cannot be written ({error}); the table is in memory"
            ) from error
        finally:
            beside.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, otherwise: Classifier | None = None) -> TaskTable:
        """Read what `save` wrote.

        Raises:
            ConfigurationError: The file is missing, damaged or of another version.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            if (data["format"], data["version"]) != (_FORMAT, _VERSION):
                raise ConfigurationError(f"{path} is a {data['format']} of version {data['version']}")
            table = cls(otherwise=otherwise, prior_count=float(data["prior_count"]))
            sums = {
                str(task): {str(tier): _checked(*entry) for tier, entry in row.items()}
                for task, row in data["sums"].items()
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigurationError(f"{path} is not a task table that can be read ({error})") from error
        return table._learn(sums)

    def _learn(self, sums: dict[str, dict[str, tuple[float, int]]]) -> TaskTable:
        totals: dict[str, tuple[float, int]] = {}
        for row in sums.values():
            for tier, (total, number) in row.items():
                before, count = totals.get(tier, (0.0, 0))
                totals[tier] = (before + total, count + number)
        if not totals:
            raise ConfigurationError("no outcome of any tier was given; nothing was learned")
        self.sums_ = sums
        self.overall_ = {tier: total / number for tier, (total, number) in totals.items()}
        return self


def _add(sums: dict[str, dict[str, tuple[float, int]]], task: str, tier: str, score: float) -> None:
    if not 0 <= score <= 1:
        raise ConfigurationError(
            f"a score of tier {tier!r} must be in [0, 1], not {score!r}; nothing was learned"
        )
    row = sums.setdefault(task, {})
    total, number = row.get(tier, (0.0, 0))
    row[tier] = (total + float(score), number + 1)


def _checked(total: float, number: int) -> tuple[float, int]:
    if type(number) is not int or number < 1 or not 0 <= float(total) <= number:
        raise ConfigurationError(f"{total!r} of {number!r} is no sum of scores")
    return float(total), number


def _gain(chances: Mapping[str, float], tiers: Sequence[Tier]) -> float | None:
    if len(tiers) < 2 or not {tiers[0].name, tiers[-1].name} <= chances.keys():
        return None
    return chances[tiers[-1].name] - chances[tiers[0].name]


def _unknown(task: str | None) -> str:
    return f"task {task!r} was not learned" if task else "no task was given"
