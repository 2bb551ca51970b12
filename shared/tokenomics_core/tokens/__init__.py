"""Count tokens before a call: exactly where a vocabulary is at hand, else as an estimate that says so."""

from tokenomics_core.tokens._count import TokenCount
from tokenomics_core.tokens._counter import MEDIA_TOKENS, count_tokens, load_vocabulary
from tokenomics_core.tokens._estimate import estimate_tokens
from tokenomics_core.tokens._vocabulary import Vocabularies

__all__ = [
    "MEDIA_TOKENS",
    "TokenCount",
    "Vocabularies",
    "count_tokens",
    "estimate_tokens",
    "load_vocabulary",
]
