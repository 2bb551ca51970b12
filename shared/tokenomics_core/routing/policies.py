"""Every way to pick a tier from chances and costs, and what watches that it goes on being right."""

from tokenomics_core.routing._cascade import CascadeStart
from tokenomics_core.routing._controller import Controller
from tokenomics_core.routing._drift import Drift, DriftWatch
from tokenomics_core.routing._feedback import TierFeedback
from tokenomics_core.routing._health import Health, TierHealth
from tokenomics_core.routing._policies import CheapestGoodEnough, TargetShare, Threshold
from tokenomics_core.routing._protocols import Candidate, LearningPolicy, Policy, PolicyState
from tokenomics_core.routing._stats import TierStats
from tokenomics_core.routing._targets import AnswerValue, TargetCost, TargetQuality

__all__ = [
    "AnswerValue",
    "Candidate",
    "CascadeStart",
    "CheapestGoodEnough",
    "Controller",
    "Drift",
    "DriftWatch",
    "Health",
    "LearningPolicy",
    "Policy",
    "PolicyState",
    "TargetCost",
    "TargetQuality",
    "TargetShare",
    "Threshold",
    "TierFeedback",
    "TierHealth",
    "TierStats",
]
