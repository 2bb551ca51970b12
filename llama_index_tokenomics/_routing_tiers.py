"""The models of a router by the names of their tiers, and what they have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

from llama_index.core.base.llms.types import CachePoint, ChatMessage, LLMMetadata
from llama_index.core.llms.llm import LLM

from llama_index_tokenomics._models import kind_of, name_of, provider_of
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import Cascade, Router, Tier
from tokenomics_core.routing.classifiers import DifficultyClassifier

__all__ = ["TierModels", "Tiers", "fitted", "router_of", "shared_settings", "tier_of"]

_TAKES_MARKS = frozenset({"anthropic", "aws"})
_SETTINGS = (
    "completion_to_prompt",
    "messages_to_prompt",
    "output_parser",
    "pydantic_program_mode",
    "query_wrapper_prompt",
    "system_prompt",
)
"""What a model has that LlamaIndex reads from whatever stands before it."""
_ABOUT_WORDS = frozenset({"output_parser", "query_wrapper_prompt", "system_prompt"})

_TOOLS = frozenset({"tools"})
_ALL_BUT_TOOLS = frozenset({"audio", "files", "images", "json_schema", "videos"})
_ROUTER_SETTINGS = frozenset(signature(Router).parameters) - {"tiers"}

Tiers = Mapping[str, LLM | tuple[Tier, LLM]] | Sequence[tuple[Tier, LLM]]


class TierModels:
    """Which model serves which tier.

    Args:
        tiers: By name, the weakest first, or pairs of a `Tier` and its model.

    Raises:
        ConfigurationError: There is none, one is no model, or names disagree.
    """

    def __init__(self, tiers: Tiers) -> None:
        pairs = _pairs(tiers)
        if not pairs:
            raise ConfigurationError("tiers must name at least one model; nothing was routed")
        self.tiers = tuple(_without_tools(tier, model) for tier, model in pairs)
        self._named = _names_alone(tiers)
        self._models = {tier.name: model for tier, model in pairs}
        self._efforts = {tier.name: _effort(tier, model) for tier, model in pairs}

    @property
    def models(self) -> tuple[LLM, ...]:
        """The models, the weakest first."""
        return tuple(self._models[tier.name] for tier in self.tiers)

    @property
    def smallest_window(self) -> int | None:
        """Tokens of the tier with the least room; None where none is bounded."""
        return min((tier.window for tier in self.tiers if tier.window is not None), default=None)

    def model(self, tier: str | None) -> LLM:
        """Return a tier's model; that of the first tier for a name that is none."""
        return self._models.get(tier or "") or self.models[0]

    def settings(self, tier: str) -> dict[str, Any]:
        """Return what a tier adds to the arguments of a call."""
        return self._efforts[tier]

    def take(self, router: Router) -> None:
        """Take over what a router says of the tiers.

        Raises:
            ConfigurationError: It may choose one that has no model here.
        """
        if missing := [tier.name for tier in router.tiers if tier.name not in self._models]:
            raise ConfigurationError(f"the router has tiers without a model: {', '.join(missing)}")
        self.tiers = router.tiers
        self._efforts = {tier.name: _effort(tier, self._models[tier.name]) for tier in self.tiers}

    def metadata(self, context_window: int | None) -> LLMMetadata:
        """Return what holds whichever tier is chosen: engines and memories read this once and keep it."""
        each = [model.metadata for model in self.models]
        able = [one.is_function_calling_model for one in each]
        asked = [tier.name in self._named or tier.lacks(_TOOLS, None) is None for tier in self.tiers]
        windows = [
            tier.window if tier.window is not None else one.context_window
            for tier, one in zip(self.tiers, each, strict=True)
        ]
        lengths = [one.num_output for one in each]
        return LLMMetadata(
            context_window=context_window or min(windows),
            num_output=max(lengths),
            is_chat_model=True,
            # A tier that is said to have no tools is never chosen for them.
            is_function_calling_model=any(able)
            and all(can for can, may in zip(able, asked, strict=True) if may),
            model_name=f"router({','.join(tier.name for tier in self.tiers)})",
            system_role=each[0].system_role,
        )


def router_of(
    tiers: TierModels, router: Router | None, cascade: Cascade | None, settings: dict[str, Any]
) -> Router:
    """Return the router that is given or the one of the cascade, or make one.

    Raises:
        ConfigurationError: It has other tiers than the models, or settings for a router that exists already.
    """
    if cascade is not None and router is not None and cascade.router is not router:
        raise ConfigurationError("the cascade has another router; give only the cascade")
    found = cascade.router if cascade is not None else router
    if found is not None:
        if settings:
            raise ConfigurationError(
                f"{', '.join(sorted(settings))}: these are settings of the router, which is made already"
            )
        tiers.take(found)
        return found
    if unknown := settings.keys() - _ROUTER_SETTINGS:
        raise ConfigurationError(f"neither LLM nor Router has a setting {', '.join(sorted(unknown))}")
    has_quality = all(tier.quality is not None for tier in tiers.tiers)
    if settings.get("classifier") is None and len(tiers.tiers) > 1 and not has_quality:
        settings = {**settings, "classifier": DifficultyClassifier.pretrained()}
    return Router(tiers.tiers, **settings)


def tier_of(name: str, model: LLM) -> Tier:
    """Describe a model by what it says of itself."""
    said = model.metadata
    return Tier(
        name=name,
        model=name_of(model, {}) or name,
        provider=provider_of(model),
        window=said.context_window if said.context_window > 0 else None,
        capabilities=None if said.is_function_calling_model else _ALL_BUT_TOOLS,
    )


def shared_settings(models: Sequence[LLM], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the models are set to that LlamaIndex will read from the router.

    Raises:
        ConfigurationError: They say different things to the model, and the router is told nothing.
    """
    first, found = models[0], {}
    for name in _SETTINGS:
        value = getattr(first, name, None)
        if name in given or value is None:
            continue
        found[name] = value
    for name in _ABOUT_WORDS - given.keys():
        values = [getattr(model, name, None) for model in models]
        if any(value != values[0] for value in values):
            raise ConfigurationError(
                f"the tiers differ in {name}, which LlamaIndex reads before a tier is chosen: "
                f"give RoutingLLM the {name} to use"
            )
    return {"callback_manager": first.callback_manager, **found, **given}


def fitted(model: LLM, messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    """Return messages without marks for a prompt cache that a model's provider does not know."""
    if kind_of(model).provider in _TAKES_MARKS or not any(map(_is_marked, messages)):
        return messages
    return [_unmarked(message) if _is_marked(message) else message for message in messages]


def _is_marked(message: ChatMessage) -> bool:
    return "cache_control" in message.additional_kwargs or any(
        isinstance(block, CachePoint) for block in message.blocks
    )


def _unmarked(message: ChatMessage) -> ChatMessage:
    return ChatMessage(
        role=message.role,
        blocks=[block for block in message.blocks if not isinstance(block, CachePoint)],
        additional_kwargs={
            name: value for name, value in message.additional_kwargs.items() if name != "cache_control"
        },
    )


def _pairs(tiers: Tiers) -> list[tuple[Tier, LLM]]:
    if isinstance(tiers, Mapping):
        found = [_pair(name, value) for name, value in tiers.items()]
    else:
        found = [_pair(None, value) for value in tiers]
    for tier, model in found:
        if not isinstance(tier, Tier) or not isinstance(model, LLM):
            raise ConfigurationError(
                f"a tier must be a Tier with a LlamaIndex LLM, not {type(tier).__name__} with "
                f"{type(model).__name__}; nothing was routed"
            )
    return found


def _names_alone(tiers: Tiers) -> frozenset[str]:
    """Return the tiers of which nothing but a name was said."""
    if not isinstance(tiers, Mapping):
        return frozenset()
    return frozenset(name for name, model in tiers.items() if isinstance(model, LLM))


def _pair(name: str | None, value: Any) -> tuple[Any, Any]:
    if name is not None and isinstance(value, LLM):
        return tier_of(name, value), value
    if not isinstance(value, tuple) or len(value) != 2:
        raise ConfigurationError(f"a tier must be a model or (Tier, model), not {value!r:.80}")
    if name is not None and isinstance(value[0], Tier) and value[0].name != name:
        raise ConfigurationError(f"the tier under {name!r} calls itself {value[0].name!r}")
    return value


def _without_tools(tier: Tier, model: object) -> Tier:
    """Say of a scaffold's tier that it calls no tools, where it says nothing of what it can do."""
    if tier.capabilities is None and isinstance(model, LLM) and model.class_name() == "CognitiveScaffold":
        return replace(tier, capabilities=_ALL_BUT_TOOLS - {"json_schema"})
    return tier


def _effort(tier: Tier, model: Any) -> dict[str, Any]:
    """Return the argument that asks for a tier's effort; nothing where its model is set so already."""
    if tier.effort is None or getattr(model, "reasoning_effort", None) == tier.effort:
        return {}
    if kind_of(model).is_openai:
        return {"reasoning_effort": tier.effort}
    raise ConfigurationError(
        f"{type(model).__name__} takes no effort with a call: give tier {tier.name!r} a model that is set to "
        f"effort {tier.effort!r}, and leave the tier's effort out"
    )
