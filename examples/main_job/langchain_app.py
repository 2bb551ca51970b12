"""The LangChain half of the main job: retriever, prompt, model and parser in one chain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnablePassthrough
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from examples.main_job.questions import Question
from examples.main_job.retriever import BM25Index
from langchain_tokenomics import CachedChain, ContextCompressor, ModelRouter
from tokenomics_core.cache import ResponseCache
from tokenomics_core.compression.stats import CompressionStats
from tokenomics_core.routing import Cascade

__all__ = ["LangChainApp", "WordRetriever"]

_SYSTEM = """You answer questions about the Python standard library from the context that comes with them.
If the context does not hold the answer, say so and name the module that most likely does.
These modules are covered:
{modules}"""

_HUMAN = """Context:
---
{context}
---
Question: {question}"""


class WordRetriever(BaseRetriever):
    """Finds documents by BM25."""

    index: Any
    most: int = 6

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002  # base class's signature
    ) -> list[Document]:
        return [
            Document(id=found.id, page_content=found.text, metadata={"module": found.module})
            for found, _ in self.index.search(query, self.most)
        ]


class LangChainApp:
    """Answers with `retriever | prompt | ChatOpenAI | parser`; answers in a conversation are streamed.

    Args:
        index: Finds documents.
        modules: What the corpus covers, module by module; it stands in front of every prompt.
        models: The model of each feature.
        base_url: Where the models are served.
        api_key: The key for that.
        callbacks: Handlers that see every call, such as one that guards a budget.
        max_output_tokens: The longest answer to ask for; None leaves it to the model.
        cache: Where earlier answers are looked for; None asks the model every time.
        cascade: Asks the weak tier and judges its answer, for all features; None asks the feature's model.
        compress_to: The share of the retrieved tokens to send; None sends all.
    """

    name = "langchain"

    def __init__(
        self,
        index: BM25Index,
        modules: Sequence[str],
        models: Mapping[str, str],
        base_url: str,
        api_key: str,
        callbacks: Sequence[BaseCallbackHandler] = (),
        max_output_tokens: int | None = None,
        cache: ResponseCache | None = None,
        cascade: Cascade | None = None,
        compress_to: float | None = None,
    ) -> None:
        self._config = RunnableConfig(callbacks=list(callbacks))
        retriever = WordRetriever(index=index)
        prompt = ChatPromptTemplate.from_messages(
            [("system", _SYSTEM), MessagesPlaceholder("history"), ("human", _HUMAN)]
        ).partial(modules="\n".join(modules))
        found: Runnable[Any, Any] = RunnableLambda(_search_words) | retriever
        self._compressor = ContextCompressor(ratio=compress_to or 1.0)
        if compress_to is not None:
            found = (
                RunnablePassthrough.assign(documents=found)
                | self._compressor.as_runnable(context="documents")
                | itemgetter("documents")
            )
        context: Runnable[Any, str] = found | RunnableLambda(_join_documents)

        def chat(model: str) -> ChatOpenAI:
            return ChatOpenAI(
                model=model,
                base_url=base_url,
                api_key=SecretStr(api_key),
                temperature=0,
                stream_usage=True,
                max_completion_tokens=max_output_tokens,
                logprobs=None if cascade is None else True,
            )

        def answering(model: str) -> Runnable[Any, Any]:
            if cascade is None:
                return chat(model)
            return ModelRouter([(tier, chat(tier.model)) for tier in cascade.router.tiers], cascade=cascade)

        self._chains: dict[str, Runnable[Any, str]] = {
            feature: RunnablePassthrough.assign(context=context)
            | prompt
            | answering(model)
            | StrOutputParser()
            for feature, model in models.items()
        }
        if cache is not None:
            self._chains = {
                feature: CachedChain(chain, cache, name=f"langchain {models[feature]}")
                for feature, chain in self._chains.items()
            }

    def compressed(self) -> CompressionStats:
        """Tell what compression made of the retrieved documents."""
        return self._compressor.stats()

    def ask(self, question: Question, history: Sequence[tuple[str, str]]) -> str:
        """Answer a question after the questions and answers before it."""
        chain = self._chains[question.feature]
        given = {"question": question.text, "history": _messages(history)}
        # The prompt holds passages besides the question; a router should go by the question.
        config: RunnableConfig = {**self._config, "metadata": {"route_question": question.text}}
        if question.conversation is None:
            return str(chain.invoke(given, config))
        return "".join(chain.stream(given, config))


def _search_words(given: Mapping[str, Any]) -> str:
    """Search for the question together with the one that opened the conversation."""
    opener = [str(message.content) for message in given["history"][:1]]
    return " ".join([*opener, itemgetter("question")(given)])


def _join_documents(documents: Iterable[Document]) -> str:
    return "\n\n".join(document.page_content for document in documents)


def _messages(history: Iterable[tuple[str, str]]) -> list[BaseMessage]:
    return [message for asked, answer in history for message in (HumanMessage(asked), AIMessage(answer))]
