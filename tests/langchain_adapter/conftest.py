"""A provider on loopback for every test, and the real clients that talk to it."""

from dataclasses import dataclass

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from examples.provider import LoopbackProvider, ProviderAnswer, ProviderUsage, ScriptedEngine


@dataclass
class World:
    """The provider, what it will say, and clients that ask it."""

    provider: LoopbackProvider
    engine: ScriptedEngine

    def says(self, text="a short answer", *, model=None, **usage):
        """Queue an answer with this usage for one call."""
        extra = {key: usage.pop(key) for key in ("tool_calls", "thinking", "finish_reason") if key in usage}
        self.engine.queue(ProviderAnswer(text=text, usage=ProviderUsage(**usage), **extra), model=model)

    def openai(self, model="gpt-4o", **settings):
        settings = {"stream_usage": True, "max_retries": 0, **settings}
        return ChatOpenAI(model=model, base_url=self.provider.openai_url, api_key="unused", **settings)

    def anthropic(self, model="claude-haiku-4-5", **settings):
        settings = {"max_retries": 0, **settings}
        return ChatAnthropic(model=model, base_url=self.provider.url, api_key="unused", **settings)

    def embeddings(self, model="text-embedding-3-small"):
        return OpenAIEmbeddings(
            model=model, base_url=self.provider.openai_url, api_key="unused", check_embedding_ctx_length=False
        )


@pytest.fixture
def world():
    engine = ScriptedEngine()
    with LoopbackProvider(engine, keep_alive=False) as provider:
        yield World(provider, engine)
