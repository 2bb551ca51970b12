"""What the code in the guides takes for granted: an application, and a provider that answers it.

A page asks for what it needs in a hidden comment, `<!-- setup`. The provider is the stand-in on loopback that
the examples have, so nothing here leaves the machine.
"""

from __future__ import annotations

import atexit
import os
from functools import cache
from typing import Any

from examples.provider import LoopbackProvider
from examples.provider.reading import ReadingEngine

MODEL = "gpt-4.1-nano"
QUESTION = {"question": "How do I reset my password?"}
NOTES = "To reset a password open Settings, then Account, and follow the link. Refunds take ten days."


@cache
def address() -> str:
    """Open the stand-in until the process ends, and let clients that name no address find it."""
    provider = LoopbackProvider(ReadingEngine())
    atexit.register(provider.__exit__, None, None, None)
    url: str = provider.__enter__().openai_url
    os.environ.update(OPENAI_BASE_URL=url, OPENAI_API_BASE=url, OPENAI_API_KEY="unused")
    return url


@cache
def chat_model() -> Any:
    """Return a LangChain model."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=MODEL, base_url=address(), api_key="unused")


def chain() -> Any:
    """Return a chain that answers a question from notes."""
    from langchain_core.prompts import ChatPromptTemplate

    return ChatPromptTemplate([("system", NOTES), ("human", "{question}")]) | chat_model()


def search() -> Any:
    """Return a tool for an agent."""
    from langchain_core.tools import tool

    @tool
    def search(query: str) -> str:
        """Search the handbook."""
        return NOTES if query else ""

    address()
    return search


def index() -> Any:
    """Return a LlamaIndex index whose engine asks the stand-in."""
    from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
    from llama_index.llms.openai_like import OpenAILike

    Settings.llm = OpenAILike(model=MODEL, api_base=address(), api_key="unused", is_chat_model=True)
    return VectorStoreIndex([Document(text=NOTES)], embed_model=MockEmbedding(embed_dim=8))
