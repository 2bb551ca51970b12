"""A stand-in for a model provider: real wire formats, counted tokens, faults on command, no model.

Real clients (OpenAI, Anthropic, LangChain, LlamaIndex) talk to `LoopbackProvider` over HTTP on
loopback. What it answers is decided by an engine: `ScriptedEngine` says what a test tells it to,
`ReadingEngine` picks sentences from the context that is in the request. An engine sees the request
and nothing else. `python -m examples.provider --port 8000` serves a `ReadingEngine`.
"""

from examples.provider.embedding import HashedWordEmbedder
from examples.provider.exchange import (
    EmbeddingEngine,
    EmbeddingRequest,
    Engine,
    ProviderAnswer,
    ProviderError,
    ProviderRequest,
    ProviderUsage,
    TokenLogprob,
    Tool,
    ToolCall,
    Turn,
)
from examples.provider.faults import Cut, Fail, Malformed, Stall
from examples.provider.reading import DEFAULT_READERS, STRONG_READER, WEAK_READER, Reader, ReadingEngine
from examples.provider.scripted import ScriptedEngine
from examples.provider.server import LoopbackProvider, SeenRequest

__all__ = [
    "DEFAULT_READERS",
    "STRONG_READER",
    "WEAK_READER",
    "Cut",
    "EmbeddingEngine",
    "EmbeddingRequest",
    "Engine",
    "Fail",
    "HashedWordEmbedder",
    "LoopbackProvider",
    "Malformed",
    "ProviderAnswer",
    "ProviderError",
    "ProviderRequest",
    "ProviderUsage",
    "Reader",
    "ReadingEngine",
    "ScriptedEngine",
    "SeenRequest",
    "Stall",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "Turn",
]
