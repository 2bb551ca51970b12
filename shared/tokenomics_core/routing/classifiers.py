"""Every way to assess a request; all speak one protocol, so a router takes any of them."""

from tokenomics_core.metered_llm import LLMReply, LLMSpending
from tokenomics_core.routing._difficulty import DifficultyClassifier
from tokenomics_core.routing._fit_report import FitReport
from tokenomics_core.routing._function_classifier import FunctionClassifier
from tokenomics_core.routing._heuristic import HeuristicClassifier
from tokenomics_core.routing._llm_classifier import LLMClassifier
from tokenomics_core.routing._protocols import Assessment, AsyncClassifier, Classifier
from tokenomics_core.routing._semantic_routes import SemanticRoutes
from tokenomics_core.routing._task_table import TaskTable

__all__ = [
    "Assessment",
    "AsyncClassifier",
    "Classifier",
    "DifficultyClassifier",
    "FitReport",
    "FunctionClassifier",
    "HeuristicClassifier",
    "LLMClassifier",
    "LLMReply",
    "LLMSpending",
    "SemanticRoutes",
    "TaskTable",
]
