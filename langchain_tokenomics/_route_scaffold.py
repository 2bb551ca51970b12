"""A cheap model led through four structured steps, as one runnable that a router can weigh as a tier."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from langchain_core.runnables.config import ensure_config, merge_configs
from pydantic import ConfigDict, Field

from langchain_tokenomics._budget_steps import Step, Steps, take, take_async
from langchain_tokenomics._route_request import messages_of
from tokenomics_core.routing.scaffold import Scaffold, ScaffoldStep

__all__ = ["CognitiveScaffold"]


class CognitiveScaffold(RunnableSerializable[LanguageModelInput, AIMessage]):
    """Answer with a cheap model in four steps: understand the question, recall, examine, backtrack.

    cheap = ChatOpenAI(model="gpt-4.1-nano")
    tier = Tier(name="cheap", model="gpt-4.1-nano")
    router = ModelRouter([(tier, cheap), (scaffold_tier(tier), CognitiveScaffold(cheap)), (dear, dear_model)])

    Each step is a call of the model with its own run, tagged `scaffold:STEP`, and is paid and counted as any
    other. Only the answer of the last step is returned, under one message. Tools are not called inside.
    """

    model: Runnable[Any, Any] = Field(exclude=True, repr=False)
    scaffold: Scaffold = Field(default_factory=Scaffold, exclude=True, repr=False)

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def __init__(self, model: Runnable[Any, Any], *, scaffold: Scaffold | None = None) -> None:
        """Set the model, and other steps than the four."""
        fields: dict[str, Any] = {
            "model": model,
            "scaffold": scaffold if scaffold is not None else Scaffold(),
        }
        super().__init__(**fields)

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - the framework's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Take all steps and return the last one's answer."""
        return take(self._taken(input, ensure_config(config), kwargs))

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - likewise
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Do the same without blocking the event loop."""
        return await take_async(self._taken(input, ensure_config(config), kwargs))

    def _taken(self, value: Any, config: RunnableConfig, kwargs: dict[str, Any]) -> Steps[AIMessage]:
        conversation = messages_of(value)
        steps = self.scaffold.run()
        step, (_, turn) = next(steps)
        number = 0
        while True:
            asked = [*conversation, HumanMessage(turn, additional_kwargs={"lc_source": "scaffold"})]
            told = self._config(config, step, number)
            message = yield Step(
                partial(self.model.invoke, asked, told, **kwargs),
                partial(self.model.ainvoke, asked, told, **kwargs),
            )
            number += 1
            try:
                step, (_, turn) = steps.send(message.text)
            except StopIteration:
                return cast("AIMessage", message)

    @staticmethod
    def _config(config: RunnableConfig, step: ScaffoldStep, number: int) -> RunnableConfig:
        kept = cast("RunnableConfig", {k: v for k, v in config.items() if k != "run_id" or not number})
        return merge_configs(
            kept, {"tags": [f"scaffold:{step.name}"], "metadata": {"scaffold_step": step.name}}
        )
