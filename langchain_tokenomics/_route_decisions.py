"""A decision model that costs nothing, for LangChain's own router of agents."""

from __future__ import annotations

from typing import Any

from tokenomics_core.errors import MissingExtraError

try:
    from langchain_core.decisions import (  # type: ignore[import-not-found,unused-ignore]  # langchain-core 1.8
        BaseDecisionModel,
        Choice,
        ChoiceAnswer,
        ClassifierResponse,
    )
except ModuleNotFoundError as error:
    raise MissingExtraError("langchain-core>=1.8", "agents") from error

from langchain_core.messages import BaseMessage
from pydantic import ConfigDict, Field

from langchain_tokenomics._route_request import Defaults, messages_of, read_request
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import Route, Router, RouteRequest

__all__ = ["RouterDecisionModel"]


class RouterDecisionModel(BaseDecisionModel):  # type: ignore[misc,unused-ignore]  # unknown below langchain-core 1.8
    """Answer the questions of `ModelRouterMiddleware` by a `Router`, on this machine and for nothing.

    router = Router([Tier(name="cheap", model=...), Tier(name="dear", model=...)])
    ModelRouterMiddleware(
        choices={"cheap": ..., "dear": ...}, instructions="", classifier=RouterDecisionModel(router=router)
    )

    The choices are the router's tiers by name. Of each answer, `probabilities` are the chances with which the
    router chose, and `confidence` is the chance that the chosen tier's answer is good enough.
    """

    model: str = "tokenomics-router"
    router: Router = Field(exclude=True, repr=False)

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @property
    def _provider(self) -> str:
        return "tokenomics"

    def _classify(self, state: Any, questions: dict[str, Any]) -> Any:
        self._check(questions)
        return self._response(self.router.decide(_request_of(state)), questions)

    async def _aclassify(self, state: Any, questions: dict[str, Any]) -> Any:
        self._check(questions)
        return self._response(await self.router.adecide(_request_of(state)), questions)

    def _check(self, questions: dict[str, Any]) -> None:
        names = {tier.name for tier in self.router.tiers}
        for key, question in questions.items():
            labels = set(question.criteria) if isinstance(question, Choice) else set()
            if labels != names:
                raise ConfigurationError(
                    f"question {key!r} must be a choice among the router's tiers {', '.join(sorted(names))}, "
                    f"not among {', '.join(sorted(labels)) or 'nothing'}; nothing was decided"
                )

    def _response(self, route: Route, questions: dict[str, Any]) -> Any:
        names = [tier.name for tier in self.router.tiers]
        rest = (1 - route.propensity) / max(1, len(names) - 1)
        chances = {name: route.propensity if name == route.tier.name else rest for name in names}
        sure = route.probability if route.probability is not None else route.propensity
        answer = ChoiceAnswer(type="choice", choice=route.tier.name, probabilities=chances, confidence=sure)
        return ClassifierResponse(
            model=self.model, answers=dict.fromkeys(questions, answer), request_id=route.id
        )


def _request_of(state: Any) -> RouteRequest:
    """Read the ask from what is to be decided about: a message, messages, or text."""
    if isinstance(state, BaseMessage):
        state = [state]
    if isinstance(state, (str, list, tuple)):
        return read_request(
            messages_of(list(state) if isinstance(state, tuple) else state), {}, {}, Defaults()
        )
    return RouteRequest(question=str(state))
