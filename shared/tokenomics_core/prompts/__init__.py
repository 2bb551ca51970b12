"""See what prompts spend, and let providers cache what stays the same."""

from tokenomics_core.prompts._analyze import PromptReport, PromptShare, Suggestion, analyze_prompt
from tokenomics_core.prompts._cache_rules import CacheRule, find_rule
from tokenomics_core.prompts._prefix_plan import (
    NO_CACHING,
    PrefixOption,
    PrefixPlan,
    break_even_uses,
    plan_prefix_cache,
)
from tokenomics_core.prompts._prefix_planner import PrefixPlanner, PrefixStats
from tokenomics_core.prompts._wastes import Waste, find_wastes

__all__ = [
    "NO_CACHING",
    "CacheRule",
    "PrefixOption",
    "PrefixPlan",
    "PrefixPlanner",
    "PrefixStats",
    "PromptReport",
    "PromptShare",
    "Suggestion",
    "Waste",
    "analyze_prompt",
    "break_even_uses",
    "find_rule",
    "find_wastes",
    "plan_prefix_cache",
]
