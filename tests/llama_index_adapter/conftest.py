"""A provider on loopback for every test, and the real clients that talk to it."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index.llms.openai_like import OpenAILike
from openai import OpenAI as OpenAIClient

from examples.provider import LoopbackProvider, ProviderAnswer, ProviderUsage, ScriptedEngine

_OF_ANSWER = {"tool_calls", "thinking", "finish_reason", "final_usage", "pieces"}
_OF_LLAMA_INDEX = (
    ":pydantic.warnings.PydanticDeprecationWarning",
    "is_running called from within a step:DeprecationWarning",
)


@dataclass
class World:
    """The provider, what it will say, and clients that ask it."""

    provider: LoopbackProvider
    engine: ScriptedEngine
    clients: list[object] = field(default_factory=list)

    def says(self, text="a short answer", *, model=None, **usage):
        """Queue an answer with this usage for one call; `usage=None` reports none."""
        extra = {key: usage.pop(key) for key in _OF_ANSWER & usage.keys()}
        told = usage.pop("usage", ...)
        extra["usage"] = ProviderUsage(**usage) if told is ... else told
        self.engine.queue(ProviderAnswer(text=text, **extra), model=model)

    def like(self, model="gpt-4o", **settings):
        """Return the client for OpenAI-compatible servers."""
        told = {"is_chat_model": True, "is_function_calling_model": True, **self._openai(), **settings}
        return self._kept(OpenAILike(model=model, **told))

    def openai(self, model="gpt-4o", **settings):
        return self._kept(OpenAI(model=model, **{**self._openai(), **settings}))

    def responses(self, model="gpt-5", **settings):
        return self._kept(OpenAIResponses(model=model, **{**self._openai(), **settings}))

    def anthropic(self, model="claude-haiku-4-5", **settings):
        told = {"base_url": self.provider.url, "api_key": "unused", "max_retries": 0, **settings}
        return self._kept(Anthropic(model=model, **told))

    def embedding(self):
        client = OpenAIClient(base_url=self.provider.openai_url, api_key="unused", max_retries=0)
        return self._kept(LoopbackEmbedding(client))

    def _openai(self):
        return {"api_base": self.provider.openai_url, "api_key": "unused", "max_retries": 0}

    def _kept(self, model):
        self.clients.append(model)
        return model

    async def close(self):
        """Close what the clients opened; LlamaIndex leaves that to the garbage collector."""
        for model in self.clients:
            if (client := getattr(model, "_client", None)) is not None:
                client.close()
            if (client := getattr(model, "_aclient", None)) is not None:
                await client.close()
        self.clients.clear()


class LoopbackEmbedding(BaseEmbedding):
    """An embedding model that asks OpenAI's endpoint, as the integration does."""

    def __init__(self, client):
        super().__init__(model_name="text-embedding-3-small")
        self._client = client

    def _get_text_embeddings(self, texts):
        answer = self._client.embeddings.create(model=self.model_name, input=texts)
        return [item.embedding for item in answer.data]

    def _get_text_embedding(self, text):
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query):
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)


@pytest.fixture
async def world():
    engine = ScriptedEngine()
    with LoopbackProvider(engine) as provider:
        world = World(provider, engine)
        yield world
        await world.close()
        assert provider.errors == []


def pytest_collection_modifyitems(items):
    """Let LlamaIndex use what pydantic and its own workflows deprecate."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in _OF_LLAMA_INDEX:
                item.add_marker(pytest.mark.filterwarnings(f"ignore:{warning}"))
