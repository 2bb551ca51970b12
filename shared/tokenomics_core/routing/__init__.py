"""The cheapest tier that is good enough: routes, cascades, and what they really save."""

from tokenomics_core.routing._difficulty import DifficultyClassifier
from tokenomics_core.routing._difficulty_fit import FitReport
from tokenomics_core.routing._drift import Drift, DriftWatch
from tokenomics_core.routing._health import Health, TierHealth
from tokenomics_core.routing._outcomes import OutcomeRecord
from tokenomics_core.routing._policies import CheapestGoodEnough, TargetShare, Threshold
from tokenomics_core.routing._protocols import (
    Acceptor,
    Answer,
    Assessment,
    AsyncClassifier,
    Candidate,
    Classifier,
    LearningPolicy,
    Policy,
    PolicyState,
)
from tokenomics_core.routing._request import RouteRequest, last_ask
from tokenomics_core.routing._route import Route
from tokenomics_core.routing._router import Router
from tokenomics_core.routing._shadow import ABTest
from tokenomics_core.routing._stats import RouterStats
from tokenomics_core.routing._sticky import Stickiness
from tokenomics_core.routing._targets import AnswerValue, TargetCost, TargetQuality
from tokenomics_core.routing._tier import Tier, effort_tiers

__all__ = [
    "ABTest",
    "Acceptor",
    "Answer",
    "AnswerValue",
    "Assessment",
    "AsyncClassifier",
    "Candidate",
    "CheapestGoodEnough",
    "Classifier",
    "DifficultyClassifier",
    "Drift",
    "DriftWatch",
    "FitReport",
    "Health",
    "LearningPolicy",
    "OutcomeRecord",
    "Policy",
    "PolicyState",
    "Route",
    "RouteRequest",
    "Router",
    "RouterStats",
    "Stickiness",
    "TargetCost",
    "TargetQuality",
    "TargetShare",
    "Threshold",
    "Tier",
    "TierHealth",
    "effort_tiers",
    "last_ask",
]
