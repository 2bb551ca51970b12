"""Judges of relevance to plug into `compress(scorer=...)` besides rerankers of one's own."""

from tokenomics_core.compression._llm_scorer import LLMScorer
from tokenomics_core.compression._score import Scorer
from tokenomics_core.metered_llm import LLMReply, LLMSpending

__all__ = ["LLMReply", "LLMScorer", "LLMSpending", "Scorer"]
