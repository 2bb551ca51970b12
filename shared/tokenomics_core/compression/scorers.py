"""Judges of relevance to plug into `compress(scorer=...)` besides rerankers of one's own."""

from tokenomics_core.compression._llm_scorer import LLMScorer, ScorerReply, ScorerSpending
from tokenomics_core.compression._score import Scorer

__all__ = ["LLMScorer", "Scorer", "ScorerReply", "ScorerSpending"]
