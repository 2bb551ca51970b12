"""The cheapest tier that is good enough: routes, cascades, and what they really save.

Classifiers are in `tokenomics_core.routing.classifiers`, policies and what watches them in `.policies`,
ways to judge an answer in `.acceptors`, what measures them in `.evaluation`.
"""

from tokenomics_core.routing._acceptor import AnswerAcceptor
from tokenomics_core.routing._calibrate import calibrate
from tokenomics_core.routing._cascade import Cascade, Verdict
from tokenomics_core.routing._difficulty import DifficultyClassifier
from tokenomics_core.routing._evaluate import evaluate_router
from tokenomics_core.routing._outcomes import OutcomeRecord
from tokenomics_core.routing._policies import Threshold
from tokenomics_core.routing._protocols import Acceptor, Answer, Assessment, Classifier, Policy
from tokenomics_core.routing._request import RouteRequest, last_ask
from tokenomics_core.routing._route import Route
from tokenomics_core.routing._routed_call import RoutedCall
from tokenomics_core.routing._router import Router
from tokenomics_core.routing._shadow import ABTest
from tokenomics_core.routing._stats import RouterStats
from tokenomics_core.routing._sticky import Stickiness
from tokenomics_core.routing._targets import TargetCost, TargetQuality
from tokenomics_core.routing._tier import Tier, effort_tiers

__all__ = [
    "ABTest",
    "Acceptor",
    "Answer",
    "AnswerAcceptor",
    "Assessment",
    "Cascade",
    "Classifier",
    "DifficultyClassifier",
    "OutcomeRecord",
    "Policy",
    "Route",
    "RouteRequest",
    "RoutedCall",
    "Router",
    "RouterStats",
    "Stickiness",
    "TargetCost",
    "TargetQuality",
    "Threshold",
    "Tier",
    "Verdict",
    "calibrate",
    "effort_tiers",
    "evaluate_router",
    "last_ask",
]
