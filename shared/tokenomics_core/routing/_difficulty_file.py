"""Keep a learned classifier in one versioned file of plain arrays."""

from __future__ import annotations

import json
import os
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._difficulty_weights import Linear, Weights
from tokenomics_core.routing._features import CONTEXT_NAMES, FEATURE_NAMES, FEATURES_VERSION
from tokenomics_core.routing._fit_report import FitReport
from tokenomics_core.routing._words import Vocabulary

__all__ = ["read_weights", "write_weights"]

_FORMAT = "tokenomics-difficulty"
_VERSION = 1


def write_weights(weights: Weights, report: FitReport | None, path: Path) -> None:
    """Write weights beside the target and move them into place."""
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "features_version": FEATURES_VERSION,
        "features": FEATURE_NAMES + CONTEXT_NAMES,
        "tiers": weights.tiers,
        "feature_weight": weights.feature_weight,
        "least_coverage": weights.least_coverage,
        "robust_share": weights.robust_share,
        "full": [_scalars(model) for model in weights.full],
        "robust": [_scalars(model) for model in weights.robust],
        "report": _report_fields(report),
    }
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            np.savez_compressed(
                file,
                header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
                terms=np.frombuffer("\n".join(weights.vocabulary.index_).encode(), dtype=np.uint8),
                idf=np.array(weights.vocabulary.idf_, dtype=np.float32),
                mean=weights.mean,
                deviation=weights.deviation,
                lowest=weights.lowest,
                highest=weights.highest,
                words=np.array([model.words for model in weights.full], dtype=np.float32),
                features=np.array([model.features for model in weights.full]),
                robust=np.array([model.features for model in weights.robust]),
            )
        beside.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error}); what was learned is still in memory"
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def read_weights(path: Path) -> tuple[Weights, FitReport | None]:
    """Read what `write_weights` wrote; nothing in the file can run."""
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as file:
            header: dict[str, Any] = json.loads(file["header"].tobytes())
            _check(header, path)
            terms = file["terms"].tobytes().decode().split("\n")
            words = file["words"].astype(np.float64)
            weights = Weights(
                tuple(header["tiers"]),
                Vocabulary(terms if len(file["idf"]) else (), file["idf"].astype(np.float64).tolist()),
                file["mean"],
                file["deviation"],
                file["lowest"],
                file["highest"],
                float(header["feature_weight"]),
                tuple(
                    Linear(row, features, **scalars)
                    for row, features, scalars in zip(words, file["features"], header["full"], strict=True)
                ),
                tuple(
                    Linear(np.zeros(0), features, **scalars)
                    for features, scalars in zip(file["robust"], header["robust"], strict=True)
                ),
                float(header["least_coverage"]),
                float(header["robust_share"]),
            )
    except ConfigurationError:
        raise
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"{path} holds no difficulty classifier ({error}); nothing was loaded"
        ) from error
    if words.shape != (len(weights.tiers), len(weights.vocabulary)):
        raise ConfigurationError(f"{path} is damaged: its weights do not fit its terms; nothing was loaded")
    return weights, FitReport(**_restored(header["report"])) if header["report"] else None


def _check(header: dict[str, Any], path: Path) -> None:
    expected = (_FORMAT, _VERSION, FEATURES_VERSION, list(FEATURE_NAMES + CONTEXT_NAMES))
    found = (
        header.get("format"),
        header.get("version"),
        header.get("features_version"),
        header.get("features"),
    )
    if found != expected:
        raise ConfigurationError(
            f"{path} holds {found[0]!r}, version {found[1]!r}, features {found[2]!r}; read here are "
            f"{_FORMAT!r}, version {_VERSION}, features {FEATURES_VERSION}; nothing was loaded: fit anew"
        )


def _scalars(model: Linear) -> dict[str, float]:
    return {"intercept": model.intercept, "slope": model.slope, "shift": model.shift}


def _report_fields(report: FitReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "questions": report.questions,
        "labels": dict(report.labels),
        "rates": dict(report.rates),
        "calibration_errors": dict(report.calibration_errors),
        "calibration_intervals": dict(report.calibration_intervals),
        "apgr": report.apgr,
        "apgr_interval": report.apgr_interval,
        "cautions": report.cautions,
    }


def _restored(fields: dict[str, Any]) -> dict[str, Any]:
    interval = fields["apgr_interval"]
    intervals = fields["calibration_intervals"]
    return fields | {
        "calibration_intervals": {tier: tuple(bounds) for tier, bounds in intervals.items()},
        "apgr_interval": tuple(interval) if interval else None,
        "cautions": tuple(fields["cautions"]),
    }
