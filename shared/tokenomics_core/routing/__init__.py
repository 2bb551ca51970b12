"""The cheapest tier that is good enough: routes, cascades, and what they really save."""

from tokenomics_core.routing._difficulty import DifficultyClassifier
from tokenomics_core.routing._difficulty_fit import FitReport
from tokenomics_core.routing._outcomes import OutcomeRecord
from tokenomics_core.routing._protocols import (
    Acceptor,
    Answer,
    Assessment,
    AsyncClassifier,
    Candidate,
    Classifier,
    Policy,
    PolicyState,
)
from tokenomics_core.routing._request import RouteRequest, last_ask
from tokenomics_core.routing._route import Route
from tokenomics_core.routing._tier import Tier, effort_tiers

__all__ = [
    "Acceptor",
    "Answer",
    "Assessment",
    "AsyncClassifier",
    "Candidate",
    "Classifier",
    "DifficultyClassifier",
    "FitReport",
    "OutcomeRecord",
    "Policy",
    "PolicyState",
    "Route",
    "RouteRequest",
    "Tier",
    "effort_tiers",
    "last_ask",
]
