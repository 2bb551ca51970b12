"""The tiers of a router and the models behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel, BaseLanguageModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableBinding
from langchain_core.runnables.configurable import DynamicRunnable
from pydantic import BaseModel

from langchain_tokenomics._messages import provider_of
from langchain_tokenomics._route_marks import fitted, fitted_settings, takes_marks
from langchain_tokenomics._route_request import messages_of
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import Answer, Cascade, Router, Tier

__all__ = ["TierModel", "answer_of", "router_of", "tier_models"]

_CAPABILITIES = {
    "tool_calling": "tools",
    "image_inputs": "images",
    "structured_output": "json_schema",
    "audio_inputs": "audio",
    "pdf_inputs": "files",
    "video_inputs": "videos",
}


@dataclass(frozen=True, slots=True)
class TierModel:
    """A tier and what answers in it.

    Attributes:
        tier: The tier.
        model: A chat model, one with tools or a schema bound, or any runnable that takes what they take.
        takes_marks: Whether it understands `cache_control`; None where no tier is of another kind.
    """

    tier: Tier
    model: Runnable[Any, Any]
    takes_marks: bool | None = None

    def read(self, value: Any) -> Any:
        """Return the input without what only another tier's provider understands."""
        if self.takes_marks is not False:
            return value
        messages = messages_of(value)
        plain = fitted(messages)
        return value if all(map(_same, messages, plain)) else plain

    def settings(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a call for this tier, its reasoning effort among them."""
        kept = (
            dict(kwargs) if self.takes_marks is None else fitted_settings(kwargs, anthropic=self.takes_marks)
        )
        if self.tier.effort is not None and "openai" in _kind_of(self.model):
            kept.setdefault("reasoning_effort", self.tier.effort)
        return kept


def tier_models(tiers: Any) -> tuple[TierModel, ...]:
    """Read tiers as a mapping from name to model, or as pairs of a `Tier` and its model.

    A tier that is only named takes its model's name, window and abilities from what LangChain knows of it.

    Raises:
        ConfigurationError: They are neither.
    """
    if isinstance(tiers, Mapping):
        pairs: list[Any] = list(tiers.items())
    elif isinstance(tiers, Iterable) and not isinstance(tiers, str):
        pairs = list(tiers)
    else:
        pairs = []
    if not pairs:
        raise ConfigurationError(
            f"tiers must map names to models or list pairs of a Tier and a model, not {tiers!r:.80}"
        )
    if all(isinstance(pair, TierModel) for pair in pairs):
        return tuple(pairs)
    made = [_pair(pair) for pair in pairs]
    marks = [takes_marks(_provider(model), _kind_of(model)) for _, model in made]
    is_mixed = len(set(marks)) > 1
    return tuple(
        TierModel(tier, model, mark if is_mixed else None)
        for (tier, model), mark in zip(made, marks, strict=True)
    )


def router_of(
    tiers: tuple[TierModel, ...], router: Router | None, cascade: Cascade | None, settings: dict[str, Any]
) -> Router:
    """Return the router that is given or the one of the cascade, or make one.

    Raises:
        ConfigurationError: It has other tiers than the models, or settings for a router that exists already.
    """
    if cascade is not None and router is not None and cascade.router is not router:
        raise ConfigurationError("the cascade has another router; give only the cascade")
    settings = {name: value for name, value in settings.items() if value is not None}
    found = cascade.router if cascade is not None else router
    if found is None:
        return Router([item.tier for item in tiers], **settings)
    if settings:
        raise ConfigurationError(
            f"{', '.join(sorted(settings))}: these are settings of the router, which is made already"
        )
    names = {item.tier.name for item in tiers}
    if missing := [tier.name for tier in found.tiers if tier.name not in names]:
        raise ConfigurationError(f"the router has tiers without a model: {', '.join(missing)}")
    return found


def answer_of(output: Any) -> Answer:
    """Read what a model or a structured output returned for a judge."""
    if isinstance(output, dict) and isinstance(output.get("raw"), BaseMessage):
        is_read = output.get("parsing_error") is None and output.get("parsed") is not None
        return _of_message(output["raw"], schema_ok=is_read)
    if isinstance(output, BaseMessage):
        return _of_message(output, schema_ok=None)
    if isinstance(output, BaseModel):
        return Answer(text=output.model_dump_json(), schema_ok=True)
    return Answer(text=str(output), schema_ok=None if isinstance(output, str) else output is not None)


def _of_message(message: BaseMessage, *, schema_ok: bool | None) -> Answer:
    told = message.response_metadata
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    reason = told.get("finish_reason") or told.get("stop_reason")
    cut = told.get("incomplete_details")  # OpenAI's Responses
    reason = cut.get("reason") if reason is None and isinstance(cut, Mapping) else reason
    return Answer(
        text=message.text,
        logprobs=_logprobs(told.get("logprobs")),
        finish_reason=reason if isinstance(reason, str) else None,
        tool_calls=tuple(call["name"] for call in calls),
        schema_ok=schema_ok,
    )


def _logprobs(told: Any) -> tuple[float, ...] | None:
    tokens = told.get("content") if isinstance(told, Mapping) else None
    if not isinstance(tokens, list):
        return None
    found = [token.get("logprob") for token in tokens if isinstance(token, Mapping)]
    return tuple(float(value) for value in found if isinstance(value, (int, float))) or None


def _pair(pair: Any) -> tuple[Tier, Runnable[Any, Any]]:
    if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Runnable)):
        raise ConfigurationError(f"a tier needs a name or a Tier, and a model, not {pair!r:.80}")
    what, model = pair
    if isinstance(what, Tier):
        return what, model
    if not isinstance(what, str):
        raise ConfigurationError(f"a tier needs a name or a Tier, not {what!r:.80}")
    return _tier_of(what, model), model


def _tier_of(name: str, model: Runnable[Any, Any]) -> Tier:
    known = _known(model)
    inner = _unbound(model)
    profile: Any = getattr(inner, "profile", None)
    profile = profile if isinstance(profile, Mapping) else {}
    able = {ability for key, ability in _CAPABILITIES.items() if profile.get(key)}
    told = any(key in profile for key in _CAPABILITIES)
    return Tier(
        name=name,
        model=known.get("ls_model_name") or name,
        provider=_provider(model),
        window=profile.get("max_input_tokens"),
        max_output=profile.get("max_output_tokens"),
        capabilities=frozenset(able) if told else None,
    )


def _known(model: Runnable[Any, Any]) -> Mapping[str, Any]:
    inner = _unbound(model)
    if not isinstance(inner, BaseChatModel):
        return {}
    bound = dict(model.kwargs) if isinstance(model, RunnableBinding) else {}
    return dict(inner._get_ls_params(**bound))  # noqa: SLF001 - the one place where LangChain says it


def _provider(model: Runnable[Any, Any]) -> str | None:
    return provider_of(_known(model))


def _kind_of(model: Runnable[Any, Any]) -> str:
    inner = _unbound(model)
    return str(getattr(inner, "_llm_type", "")) if isinstance(inner, BaseLanguageModel) else ""


def _unbound(model: Any) -> Any:
    while isinstance(model, (RunnableBinding, DynamicRunnable)):
        model = model.bound if isinstance(model, RunnableBinding) else model.default
    return model


def _same(one: object, other: object) -> bool:
    return one is other
