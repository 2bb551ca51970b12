"""A cheap model led through four structured steps, as a tier between cheap and dear."""

from tokenomics_core.routing._scaffold import COGNITIVE_STEPS, Scaffold, ScaffoldStep, scaffold_tier

__all__ = ["COGNITIVE_STEPS", "Scaffold", "ScaffoldStep", "scaffold_tier"]
