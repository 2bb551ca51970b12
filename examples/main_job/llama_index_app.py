"""The LlamaIndex half of the main job: a query engine, and a chat engine for conversations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.chat_engine import CondensePlusContextChatEngine
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]  # has no py.typed

from examples.main_job.questions import Question
from examples.main_job.retriever import BM25Index
from examples.stdlib_corpus import Document
from llama_index_tokenomics import CachingQueryEngine, ContextCompressionPostprocessor, RoutingLLM
from tokenomics_core.cache import ResponseCache
from tokenomics_core.compression.stats import CompressionStats
from tokenomics_core.routing import Cascade

__all__ = ["LlamaIndexApp", "WordRetriever"]

_WINDOW_TOKENS = 16_000
_HISTORY_TOKENS = 4_000

_CONTEXT_PROMPT = """You answer questions about the Python standard library from these documents.
---
{context_str}
---
If they do not hold the answer, say so."""


class WordRetriever(BaseRetriever):
    """Finds documents by BM25."""

    def __init__(self, index: BM25Index, most: int = 6) -> None:
        self._index, self._most = index, most
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [
            NodeWithScore(node=_node(found), score=score)
            for found, score in self._index.search(query_bundle.query_str, self._most)
        ]


class LlamaIndexApp:
    """Answers with a `RetrieverQueryEngine`, and in conversations with a chat engine.

    The chat engine asks the model to rewrite a follow-up before it searches: one more paid call.

    Args:
        index: Finds documents.
        models: The model of each feature.
        base_url: Where the models are served.
        api_key: The key for that.
        cache: Where earlier answers are looked for; None asks the model every time.
        cascade: Asks the weak tier and judges its answer, for all features; None asks the feature's model.
        compress_to: The share of the retrieved tokens to send; None sends all.
    """

    name = "llama-index"

    def __init__(
        self,
        index: BM25Index,
        models: Mapping[str, str],
        base_url: str,
        api_key: str,
        cache: ResponseCache | None = None,
        cascade: Cascade | None = None,
        compress_to: float | None = None,
    ) -> None:
        self._retriever = WordRetriever(index)
        self._compressor = ContextCompressionPostprocessor(ratio=compress_to or 1.0)
        self._shorten: list[BaseNodePostprocessor] = [] if compress_to is None else [self._compressor]

        def chat(model: str) -> OpenAILike:
            return OpenAILike(
                model=model,
                api_base=base_url,
                api_key=api_key,
                is_chat_model=True,
                context_window=_WINDOW_TOKENS,
                temperature=0,
                logprobs=None if cascade is None else True,
                top_logprobs=0,
            )

        def answering(model: str) -> LLM:
            if cascade is None:
                llm: LLM = chat(model)
                return llm
            return RoutingLLM([(tier, chat(tier.model)) for tier in cascade.router.tiers], cascade=cascade)

        self._llms = {feature: answering(model) for feature, model in models.items()}
        self._query_engines: dict[str, BaseQueryEngine] = {
            feature: RetrieverQueryEngine.from_args(
                self._retriever, llm=llm, node_postprocessors=self._shorten
            )
            for feature, llm in self._llms.items()
        }
        if cache is not None:
            self._query_engines = {
                feature: CachingQueryEngine(engine, cache, name=f"llama-index {models[feature]}")
                for feature, engine in self._query_engines.items()
            }

    def compressed(self) -> CompressionStats:
        """Tell what compression made of the retrieved nodes."""
        return self._compressor.stats()

    def ask(self, question: Question, history: Sequence[tuple[str, str]]) -> str:
        """Answer a question after the questions and answers before it."""
        if question.conversation is None:
            return str(self._query_engines[question.feature].query(question.text))
        engine = CondensePlusContextChatEngine.from_defaults(
            self._retriever,
            llm=self._llms[question.feature],
            memory=ChatMemoryBuffer.from_defaults(token_limit=_HISTORY_TOKENS),
            context_prompt=_CONTEXT_PROMPT,
            node_postprocessors=self._shorten,
        )
        return str(engine.chat(question.text, chat_history=_messages(history)))


def _node(document: Document) -> TextNode:
    """Wrap a document; its metadata is for programs, and stays out of prompts."""
    return TextNode(
        id_=document.id,
        text=document.text,
        metadata={"module": document.module, "kind": document.kind},
        excluded_llm_metadata_keys=["module", "kind"],
    )


def _messages(history: Iterable[tuple[str, str]]) -> list[ChatMessage]:
    return [
        message
        for asked, answer in history
        for message in (
            ChatMessage(role="user", content=asked),
            ChatMessage(role="assistant", content=answer),
        )
    ]
