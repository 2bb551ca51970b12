"""`tokenomics router`: learn from outcomes, measure a router, solve a target."""

from __future__ import annotations

import argparse
import copy
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from tokenomics_core.cli._output import AddCommand, show, write_json
from tokenomics_core.cli._values import existing_file, names
from tokenomics_core.errors import ConfigurationError, MissingExtraError
from tokenomics_core.rendering import Cell, Column, Group, Notice, Row, Table, format_count, format_percent

__all__ = ["add"]

_NEW = "weights that are not fitted here count only for records that they have not learned from"

_RECORDS = "JSON lines: text, outcomes {tier: 0 to 1}, and where known costs_usd {tier: USD}, task"


def add(add_command: AddCommand) -> None:
    """Add the command and its three parts to the parser."""
    parser = add_command(
        "router",
        help="learn which tier answers what, measure it, set it to a target",
        description="Train, evaluate and calibrate a router on outcomes of one's own.",
    )
    parts = parser.add_subparsers(title="parts", required=True, metavar="PART")
    _add_train(parts.add_parser)
    _add_evaluate(parts.add_parser)
    _add_calibrate(parts.add_parser)


def _add_train(add_command: AddCommand) -> None:
    parser = add_command(
        "train",
        help="fit a difficulty classifier and write its weights",
        description="Fit a difficulty classifier; exit code 1 if it is not shown to be better than chance.",
    )
    _add_common(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write the weights")
    parser.set_defaults(run=_train)


def _add_evaluate(add_command: AddCommand) -> None:
    parser = add_command(
        "evaluate",
        help="what a router reaches beside chance, single tiers and hindsight",
        description="Measure a difficulty classifier: fitted on these records out of fold, or --weights.",
    )
    _add_common(parser)
    _add_weights(parser)
    parser.add_argument("--resamples", type=_whole, default=1000, metavar="N", help="bootstrap draws (1000)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw the curve, PNG or SVG")
    parser.set_defaults(run=_evaluate)


def _add_calibrate(add_command: AddCommand) -> None:
    parser = add_command(
        "calibrate",
        help="the setting that meets a share, a quality or a cost",
        description="Solve a policy for one target; exit code 1 if the records do not allow it.",
    )
    _add_common(parser)
    _add_weights(parser)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--share", type=_share, metavar="SHARE", help="of questions to the strongest tier")
    target.add_argument(
        "--target-quality", type=_share, metavar="SHARE", help="of the best single tier's quality to keep"
    )
    target.add_argument("--target-cost-usd", type=float, metavar="USD", help="what 1,000 questions may cost")
    parser.add_argument("--resamples", type=_whole, default=500, metavar="N", help="bootstrap draws (500)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the fitted weights")
    parser.set_defaults(run=_calibrate)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=existing_file, nargs="+", metavar="FILE", help=_RECORDS)
    parser.add_argument(
        "--tiers",
        type=names,
        metavar="NAMES",
        help="tiers, the weakest first (by cost, else quality)",
    )
    parser.add_argument("--folds", type=_whole, default=5, metavar="N", help="parts for held-out figures (5)")
    parser.add_argument("--seed", type=int, default=0, help="of folds and draws (0)")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def _add_weights(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--weights", type=existing_file, metavar="FILE", help="from `train`, on other records than these"
    )
    group.add_argument("--pretrained", action="store_true", help="the weights that ship with the package")


def _train(arguments: argparse.Namespace, out: TextIO, _now: datetime) -> int:
    from tokenomics_core.routing import DifficultyClassifier  # noqa: PLC0415 - loads numpy

    records, notices = _read(arguments.files)
    classifier = DifficultyClassifier(folds=arguments.folds, seed=arguments.seed)
    classifier.fit_records(records, tiers=arguments.tiers)
    classifier.save(arguments.out)
    report = classifier.report_
    assert report is not None  # noqa: S101 - a fit always reports
    apgr = report.apgr
    if arguments.format == "json":
        written: dict[str, object] = {
            "weights": str(arguments.out),
            "questions": report.questions,
            "tiers": list(classifier.tiers_),
            "labels": dict(report.labels),
            "rates": dict(report.rates),
            "calibration_errors": dict(report.calibration_errors),
            "apgr": apgr,
            "apgr_interval": list(report.apgr_interval) if report.apgr_interval else None,
            "cautions": list(report.cautions),
            "notices": notices,
        }
        write_json(written, out)
    else:
        show(_training_table(report, arguments.out, notices), out)
    interval = report.apgr_interval
    return 0 if interval is not None and interval[0] > 0.5 else 1


def _training_table(report: Any, path: Path, notices: Sequence[str]) -> Table:  # its type would load numpy
    apgr = "unknown" if report.apgr is None else f"{report.apgr:.3f}"
    if report.apgr_interval is not None:
        apgr += f" [{report.apgr_interval[0]:.3f}, {report.apgr_interval[1]:.3f}]"
    rows = tuple(
        Row(
            (
                Cell(tier),
                Cell(number),
                Cell(report.rates[tier]),
                Cell(f"{report.calibration_errors[tier]:.3f}"),
            )
        )
        for tier, number in report.labels.items()
    )
    return Table(
        title="Router training",
        subtitle=f"{format_count(report.questions)} questions",
        columns=(
            Column(title="tier", strong=True),
            Column(title="outcomes", kind="count"),
            Column(title="good", kind="percent"),
            Column(title="calibration error", align="right"),
        ),
        groups=(Group("", rows),),
        notices=(
            Notice(f"APGR held out: {apgr}; chance is 0.5"),
            *(Notice(caution, "warning") for caution in (*report.cautions, *notices)),
            Notice(f"weights: {path}"),
        ),
    )


def _evaluate(arguments: argparse.Namespace, out: TextIO, _now: datetime) -> int:
    from tokenomics_core.routing import DifficultyClassifier, evaluate_router  # noqa: PLC0415 - loads numpy
    from tokenomics_core.routing.evaluation import out_of_fold, outcome_table  # noqa: PLC0415 - likewise

    records, notices = _read(arguments.files)
    settings: dict[str, Any] = {"resamples": arguments.resamples, "seed": arguments.seed}
    given = _weights(arguments)
    notices.append(_NEW)
    shipped = {"shipped weights": DifficultyClassifier.pretrained()}
    if given is None:
        table = outcome_table(records, arguments.tiers)
        fresh = DifficultyClassifier(seed=arguments.seed)
        outcomes = {tier: table.quality[:, at] for at, tier in enumerate(table.tiers)}
        chances = out_of_fold(
            lambda: copy.copy(fresh), table.texts, outcomes, folds=arguments.folds, seed=arguments.seed
        )
        result = evaluate_router(
            chances,
            records,
            tiers=table.tiers,
            name="fitted, out of fold",
            baselines=shipped if len(table.tiers) == 2 else None,
            **settings,
        )
    else:
        name = "shipped weights" if arguments.pretrained else arguments.weights.name
        result = evaluate_router(given, records, tiers=arguments.tiers, name=name, **settings)
    if arguments.plot is not None:
        _save_plot(result, arguments.plot)
    if arguments.format == "json":
        write_json({**result.to_dict(), "notices": notices}, out)
    else:
        show(_with_notices(result.table(), notices), out)
    return 0


def _save_plot(result: Any, path: Path) -> None:  # its type would load numpy
    try:
        from matplotlib import use  # noqa: PLC0415 - an extra, needed only here
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error
    use("agg")
    result.plot().figure.savefig(path)


def _calibrate(arguments: argparse.Namespace, out: TextIO, _now: datetime) -> int:
    from tokenomics_core.routing import DifficultyClassifier, calibrate  # noqa: PLC0415 - loads numpy

    records, notices = _read(arguments.files)
    classifier = _weights(arguments) or DifficultyClassifier(seed=arguments.seed)
    result = calibrate(
        classifier,
        records,
        share=arguments.share,
        target_quality=arguments.target_quality,
        target_cost_usd=arguments.target_cost_usd,
        tiers=arguments.tiers,
        folds=arguments.folds,
        resamples=arguments.resamples,
        seed=arguments.seed,
    )
    if arguments.out is not None:
        result.classifier.save(arguments.out)
    if arguments.format == "json":
        write_json({**result.to_dict(), "notices": notices}, out)
    else:
        show(_with_notices(result.table(), notices), out)
    wanted = arguments.target_quality
    return 1 if wanted is not None and result.kept.value < wanted else 0


def _weights(arguments: argparse.Namespace) -> Any:  # a classifier, whose type would load numpy
    from tokenomics_core.routing import DifficultyClassifier  # noqa: PLC0415 - loads numpy

    if arguments.pretrained:
        return DifficultyClassifier.pretrained()
    return None if arguments.weights is None else DifficultyClassifier.load(arguments.weights)


def _with_notices(table: Table, notices: Sequence[str]) -> Table:
    return replace(table, notices=(*table.notices, *(Notice(text, "warning") for text in notices)))


def _read(paths: Sequence[Path]) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Read records, and say which of their fields were passed over."""
    from tokenomics_core.routing import OutcomeRecord  # noqa: PLC0415 - loads numpy

    known = {field.name for field in fields(OutcomeRecord)}
    passed_over: Counter[str] = Counter()
    records: list[Mapping[str, Any]] = []
    for path in paths:
        for raw in _objects(path):
            passed_over.update(raw.keys() - known)
            records.append({name: value for name, value in raw.items() if name in known})
    if not records:
        raise ConfigurationError(f"there is no record in {', '.join(map(str, paths))}; nothing was done")
    notices = []
    if passed_over:
        parts = (f"{name} ({format_percent(n / len(records))})" for name, n in sorted(passed_over.items()))
        notices.append(f"fields that were not read: {', '.join(parts)}")
    return records, notices


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _object(line, f"{path}, line {number}")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}); nothing was done") from error


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        raw = json.loads(line)
    except ValueError as error:
        raise ConfigurationError(f"{where} is no JSON ({error}); nothing was done") from error
    if not isinstance(raw, dict) or "text" not in raw:
        raise ConfigurationError(f"{where} is no object with a text; nothing was done")
    return raw


def _share(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share such as 0.3 or 30%")
    return value


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 2 or more")
    return int(text)
