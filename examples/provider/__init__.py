"""A stand-in for a model provider: real wire formats, counted tokens, faults on command, no model.

Real clients (OpenAI, Anthropic, LangChain, LlamaIndex) talk to `LoopbackProvider` over HTTP on
loopback. What it answers is decided by an engine: `ScriptedEngine` says what a test tells it to.
The engine sees the request and nothing else.
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
from examples.provider.scripted import ScriptedEngine
from examples.provider.server import LoopbackProvider, SeenRequest

__all__ = [
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
    "ScriptedEngine",
    "SeenRequest",
    "Stall",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "Turn",
]
