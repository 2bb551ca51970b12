"""See what prompts spend, and let providers cache what stays the same."""

from tokenomics_core.prompts._analyze import PromptReport, PromptShare, Suggestion, analyze_prompt
from tokenomics_core.prompts._cache_rules import CacheRule, find_rule
from tokenomics_core.prompts._growing_prefix import GrowingPrefixPlanner
from tokenomics_core.prompts._output_length import OutputLimit, fit_output_length
from tokenomics_core.prompts._prefix_plan import (
    NO_CACHING,
    PrefixOption,
    PrefixPlan,
    break_even_uses,
    plan_prefix_cache,
)
from tokenomics_core.prompts._prefix_planner import PrefixPlanner, PrefixStats
from tokenomics_core.prompts._stable import BlockOrder, stable_tools
from tokenomics_core.prompts._variants import (
    Trial,
    VariantReport,
    arun_variants,
    compare_variants,
    run_variants,
)
from tokenomics_core.prompts._wastes import Waste

__all__ = [
    "NO_CACHING",
    "BlockOrder",
    "CacheRule",
    "GrowingPrefixPlanner",
    "OutputLimit",
    "PrefixOption",
    "PrefixPlan",
    "PrefixPlanner",
    "PrefixStats",
    "PromptReport",
    "PromptShare",
    "Suggestion",
    "Trial",
    "VariantReport",
    "Waste",
    "analyze_prompt",
    "arun_variants",
    "break_even_uses",
    "compare_variants",
    "find_rule",
    "fit_output_length",
    "plan_prefix_cache",
    "run_variants",
    "stable_tools",
]
