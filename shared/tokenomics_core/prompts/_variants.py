"""Compare variants of a prompt by quality and cost, and recommend none that is not shown to be as good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.rendering import Cell, Column, Group, Notice, Row, Table, to_html, to_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Trial", "VariantReport", "VariantResult", "arun_variants", "compare_variants", "run_variants"]

Case = TypeVar("Case")
_DRAWS = 2_000
_LEAST_CASES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One answer of one variant.

    Attributes:
        quality: How good it was, in [0, 1], by the user's metric or judge.
        usd: What it cost, judging not included.
    """

    quality: float
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """How one variant did.

    Attributes:
        name: The variant.
        quality: Mean quality.
        usd: Mean cost of an answer.
        difference: Mean quality less the baseline's, case by case.
        interval: Its 95% interval, by paired bootstrap.
        as_good: Whether it is shown to lose no more than the margin: the interval's lower end is above it.
    """

    name: str
    quality: float
    usd: Decimal
    difference: float
    interval: tuple[float, float]
    as_good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantReport:
    """Variants side by side.

    Attributes:
        baseline: What the others are compared with.
        margin: The loss of quality that is acceptable.
        cases: How many questions each answered.
        results: The baseline first, then the cheapest first.
        recommended: The cheapest variant that is shown to be as good; the baseline where none is.
        reason: Why, in plain words.
    """

    baseline: str
    margin: float
    cases: int
    results: tuple[VariantResult, ...]
    recommended: str
    reason: str

    def table(self) -> Table:
        """Draw the comparison."""
        rows = tuple(
            Row(
                (
                    Cell(result.name),
                    Cell(result.quality),
                    Cell("" if result.name == self.baseline else _interval(result)),
                    Cell(result.usd),
                    Cell(
                        "yes" if result.as_good else "not shown",
                        level="good" if result.as_good else "warning",
                    ),
                )
            )
            for result in self.results
        )
        return Table(
            title="Variants of a prompt",
            columns=(
                Column(title="Variant"),
                Column(title="quality", kind="percent"),
                Column(title="difference, 95%"),
                Column(title="per answer", kind="money"),
                Column(title=f"as good within {self.margin:.0%}"),
            ),
            groups=(Group("", rows),),
            notices=(Notice(self.reason),),
        )

    def __str__(self) -> str:
        return to_text(self.table())

    def _repr_html_(self) -> str:
        return to_html(self.table())


def compare_variants(
    trials: Mapping[str, Sequence[Trial]], baseline: str, *, margin: float = 0.02, seed: int = 0
) -> VariantReport:
    """Compare variants that answered the same cases in the same order.

    Args:
        trials: By variant one trial per case.
        baseline: The variant in use.
        margin: How much mean quality a cheaper variant may lose.
        seed: Of the bootstrap.

    Raises:
        ConfigurationError: The baseline is missing, or variants answered different numbers of cases.
    """
    counts = {name: len(done) for name, done in trials.items()}
    if baseline not in trials:
        raise ConfigurationError(
            f"baseline {baseline!r} is none of {', '.join(trials)}; nothing was compared"
        )
    if len(set(counts.values())) > 1 or not counts[baseline]:
        raise ConfigurationError(
            f"every variant must answer the same cases, not {counts}; nothing was compared"
        )
    import numpy as np  # noqa: PLC0415 - every command of the command line loads this area

    quality = {name: _qualities(name, done) for name, done in trials.items()}
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, counts[baseline], (_DRAWS, counts[baseline]))
    results = [
        _result(
            name, quality[name], quality[baseline], trials[name], draws, margin, is_baseline=name == baseline
        )
        for name in trials
    ]
    results.sort(key=lambda result: (result.name != baseline, result.usd, -result.quality))
    own = results[0]
    cheaper = [result for result in results[1:] if result.as_good and result.usd < own.usd]
    enough = counts[baseline] >= _LEAST_CASES
    best = min(cheaper, key=lambda result: result.usd) if cheaper and enough else own
    return VariantReport(
        baseline=baseline,
        margin=margin,
        cases=counts[baseline],
        results=tuple(results),
        recommended=best.name,
        reason=_reason(best, own, enough=enough, cases=counts[baseline]),
    )


def run_variants(
    variants: Mapping[str, Callable[[Case], Trial]],
    cases: Sequence[Case],
    baseline: str,
    *,
    margin: float = 0.02,
) -> VariantReport:
    """Let every variant answer every case and compare them; see `compare_variants`."""
    return compare_variants(
        {name: [ask(case) for case in cases] for name, ask in variants.items()}, baseline, margin=margin
    )


async def arun_variants(
    variants: Mapping[str, Callable[[Case], Awaitable[Trial]]],
    cases: Sequence[Case],
    baseline: str,
    *,
    margin: float = 0.02,
    at_once: int = 8,
) -> VariantReport:
    """Do the same with at most `at_once` calls in flight."""
    gate = asyncio.Semaphore(at_once)

    async def one(ask: Callable[[Case], Awaitable[Trial]], case: Case) -> Trial:
        async with gate:
            return await ask(case)

    done = {name: await asyncio.gather(*(one(ask, case) for case in cases)) for name, ask in variants.items()}
    return compare_variants(done, baseline, margin=margin)


def _result(
    name: str,
    quality: NDArray[np.float64],
    base: NDArray[np.float64],
    trials: Sequence[Trial],
    draws: NDArray[np.int64],
    margin: float,
    *,
    is_baseline: bool,
) -> VariantResult:
    import numpy as np  # noqa: PLC0415 - see above

    differences = quality - base
    means = differences[draws].mean(axis=1)
    low, high = (float(value) for value in np.quantile(means, [0.025, 0.975]))
    return VariantResult(
        name=name,
        quality=float(quality.mean()),
        usd=sum((trial.usd for trial in trials), Decimal(0)) / len(trials),
        difference=float(differences.mean()),
        interval=(low, high),
        as_good=is_baseline or low >= -margin,
    )


def _reason(best: VariantResult, own: VariantResult, *, enough: bool, cases: int) -> str:
    if not enough:
        return f"{cases} cases are too few to show anything; at least {_LEAST_CASES} are needed"
    if best is own:
        return f"no cheaper variant is shown to be as good as {own.name}"
    share = 1 - best.usd / own.usd if own.usd else Decimal(0)
    return (
        f"{best.name} costs {share:.0%} less and loses at most {max(0.0, -best.interval[0]):.1%} of quality"
    )


def _interval(result: VariantResult) -> str:
    low, high = result.interval
    return f"{result.difference:+.1%} ({low:+.1%} to {high:+.1%})"


def _qualities(name: str, trials: Sequence[Trial]) -> NDArray[np.float64]:
    import numpy as np  # noqa: PLC0415 - see above

    values = np.array([trial.quality for trial in trials], dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ConfigurationError(f"the qualities of {name!r} must lie in [0, 1]; nothing was compared")
    return values
