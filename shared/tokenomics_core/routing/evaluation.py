"""Whether a router is worth having, what to set it to, and what another policy would have reached."""

from tokenomics_core.routing._bootstrap import Estimate
from tokenomics_core.routing._calibrate import Calibration, calibrate
from tokenomics_core.routing._curve import (
    Curve,
    Ranking,
    area_under_hull,
    expected_calibration_error,
    upper_hull,
)
from tokenomics_core.routing._evaluate import evaluate_router
from tokenomics_core.routing._evaluation import DecidedResult, RankedResult, RouterEvaluation, TierResult
from tokenomics_core.routing._folds import HeldOut, fold_numbers, hold_out, out_of_fold
from tokenomics_core.routing._log import OutcomeTable, outcome_table
from tokenomics_core.routing._offpolicy import LoggedDecision, PolicyValue, Valuations, value_policy

__all__ = [
    "Calibration",
    "Curve",
    "DecidedResult",
    "Estimate",
    "HeldOut",
    "LoggedDecision",
    "OutcomeTable",
    "PolicyValue",
    "RankedResult",
    "Ranking",
    "RouterEvaluation",
    "TierResult",
    "Valuations",
    "area_under_hull",
    "calibrate",
    "evaluate_router",
    "expected_calibration_error",
    "fold_numbers",
    "hold_out",
    "out_of_fold",
    "outcome_table",
    "upper_hull",
    "value_policy",
]
