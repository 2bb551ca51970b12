"""A cheap model that answers in structured steps: a tier between the cheap and the dear one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from llama_index.core.base.llms.generic_utils import (
    astream_chat_response_to_completion_response,
    chat_response_to_completion_response,
    stream_chat_response_to_completion_response,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.llms.llm import LLM
from pydantic import Field, PrivateAttr

from llama_index_tokenomics._routing_tiers import shared_settings
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing.scaffold import Scaffold
from tokenomics_core.types import attribution

__all__ = ["CognitiveScaffold"]


class CognitiveScaffold(LLM):
    """Answer with a cheap model in four steps: understand the question, recall, examine, backtrack.

    cheap = OpenAI(model="gpt-4.1-nano")
    tier = Tier(name="cheap", model="gpt-4.1-nano")
    llm = RoutingLLM([(tier, cheap), (scaffold_tier(tier), CognitiveScaffold(cheap)), (dear, dear_model)])

    Each step is a call of the model, is paid and counted as any other, and carries its name as the tag
    `scaffold_step`. Only the answer of the last step is returned or streamed. Tools are not called inside.
    """

    model: Any = Field(exclude=True, repr=False)
    """The model that takes the steps; never part of a dump, since it holds its key."""

    passes_on: ClassVar[bool] = True
    """Whether a budget guard waits for the model behind this one to be asked."""

    _scaffold: Scaffold = PrivateAttr()

    def __init__(self, model: LLM, *, scaffold: Scaffold | None = None, **settings: Any) -> None:
        """Set the model, other steps than the four, and fields of `LLM`, which are else those of the model.

        Raises:
            ConfigurationError: `model` is no LlamaIndex LLM.
        """
        if not isinstance(model, LLM):
            raise ConfigurationError(f"model must be a LlamaIndex LLM, not {type(model).__name__}")
        fields: dict[str, Any] = {"model": model, **shared_settings([model], settings)}
        super().__init__(**fields)
        self._scaffold = scaffold if scaffold is not None else Scaffold()

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex lists this model."""
        return "CognitiveScaffold"

    @property
    def metadata(self) -> LLMMetadata:
        """The model's own, without tools."""
        said: LLMMetadata = self.model.metadata
        return said.model_copy(update={"is_function_calling_model": False, "is_chat_model": True})

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Take all steps and return the last one's answer."""
        answer = self._answer(messages, lambda model, asked: model.chat(asked, **kwargs), kwargs)
        return cast("ChatResponse", answer)

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Do the same without blocking the event loop."""
        answer = await self._aanswer(messages, lambda model, asked: model.achat(asked, **kwargs), kwargs)
        return cast("ChatResponse", answer)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Take all steps and stream the last one's answer."""
        stream = self._answer(messages, lambda model, asked: model.stream_chat(asked, **kwargs), kwargs)
        return cast("ChatResponseGen", stream)

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """Do the same without blocking the event loop."""
        stream = await self._aanswer(
            messages, lambda model, asked: model.astream_chat(asked, **kwargs), kwargs
        )
        return cast("ChatResponseAsyncGen", stream)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Take all steps and return the last one's answer."""
        return chat_response_to_completion_response(self.chat(_asked(prompt), **kwargs))

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Do the same without blocking the event loop."""
        return chat_response_to_completion_response(await self.achat(_asked(prompt), **kwargs))

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Take all steps and stream the last one's answer."""
        return stream_chat_response_to_completion_response(self.stream_chat(_asked(prompt), **kwargs))

    async def astream_complete(
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Any,
    ) -> CompletionResponseAsyncGen:
        """Do the same without blocking the event loop."""
        return astream_chat_response_to_completion_response(await self.astream_chat(_asked(prompt), **kwargs))

    def _answer(
        self,
        messages: Sequence[ChatMessage],
        answer: Callable[[Any, list[ChatMessage]], Any],
        settings: dict[str, Any],
    ) -> Any:
        model, turns = self._listened(), self._scaffold.run()
        step, turn = next(turns)
        while not step.answers:
            with attribution(tags={"scaffold_step": step.name}):
                reply = model.chat(_with(messages, turn), **settings)
            step, turn = turns.send(reply.message.content or "")
        with attribution(tags={"scaffold_step": step.name}):
            return answer(model, _with(messages, turn))

    async def _aanswer(
        self,
        messages: Sequence[ChatMessage],
        answer: Callable[[Any, list[ChatMessage]], Any],
        settings: dict[str, Any],
    ) -> Any:
        model, turns = self._listened(), self._scaffold.run()
        step, turn = next(turns)
        while not step.answers:
            with attribution(tags={"scaffold_step": step.name}):
                reply = await model.achat(_with(messages, turn), **settings)
            step, turn = turns.send(reply.message.content or "")
        with attribution(tags={"scaffold_step": step.name}):
            return await answer(model, _with(messages, turn))

    def _listened(self) -> LLM:
        """Return the model, listened to by whoever listens to this one."""
        model: LLM = self.model
        if model.callback_manager is not self.callback_manager:
            model.callback_manager = self.callback_manager
        return model


def _asked(prompt: str) -> list[ChatMessage]:
    return [ChatMessage(role=MessageRole.USER, content=prompt)]


def _with(messages: Sequence[ChatMessage], turn: tuple[str, str]) -> list[ChatMessage]:
    role, text = turn
    return [*messages, ChatMessage(role=role, content=text)]
