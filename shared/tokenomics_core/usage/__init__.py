"""Read what a call consumed from whatever a provider or framework hands over.

Every converter takes mappings or objects, imports no SDK, never raises, and returns a
`tokenomics_core.types.Usage` with inclusive counts, or None where nothing was reported. Payloads that
contradict themselves are mended toward the larger bill; the first of each kind is logged as a warning by
the logger `tokenomics_core.usage`.
"""

from tokenomics_core.usage._langchain import is_langchain_cache_hit, usage_from_langchain
from tokenomics_core.usage._llama_index import usage_from_llama_index
from tokenomics_core.usage._raw import (
    finish_reason_from_raw,
    model_from_raw,
    usage_from_anthropic,
    usage_from_bedrock,
    usage_from_cohere,
    usage_from_gemini,
    usage_from_ollama,
    usage_from_openai,
    usage_from_openai_responses,
    usage_from_raw,
)
from tokenomics_core.usage._reported_cost import reported_cost_usd
from tokenomics_core.usage._writes import split_writes

__all__ = [
    "finish_reason_from_raw",
    "is_langchain_cache_hit",
    "model_from_raw",
    "reported_cost_usd",
    "split_writes",
    "usage_from_anthropic",
    "usage_from_bedrock",
    "usage_from_cohere",
    "usage_from_gemini",
    "usage_from_langchain",
    "usage_from_llama_index",
    "usage_from_ollama",
    "usage_from_openai",
    "usage_from_openai_responses",
    "usage_from_raw",
]
