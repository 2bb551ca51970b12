"""Read from a call that is about to be made how dear it can become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llama_index_tokenomics._models import kind_of
from tokenomics_core.budgets import CallShape
from tokenomics_core.observability import CallStart
from tokenomics_core.tokens import count_tokens

__all__ = ["OutputRule", "Request", "bound_name", "read_shape"]

_BOUNDS = (
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "max_new_tokens",
    "max_tokens_to_sample",
    "num_predict",
)
_OWN = (*_BOUNDS, "modalities", "tools", "built_in_tools", "instructions")
_SENT_ALONG = ("tools", "functions", "response_format", "text_format", "output_format", "built_in_tools")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRule:
    """What holds for answers that nobody bounded.

    Attributes:
        most_tokens: The longest one to pay for.
        least_tokens: A shorter one is of no use.
        fits: Whether requests may be told a bound, and a tighter one where little is left.
    """

    most_tokens: int
    least_tokens: int
    fits: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A call before it is sent.

    Attributes:
        start: What the tracker knows of it.
        model: The model that sends it.
        arguments: What its method was called with; what is put here reaches the client.
    """

    start: CallStart
    model: object
    arguments: dict[str, Any]


def read_shape(request: Request, rule: OutputRule) -> CallShape:
    """Count the input, tools and schemas included, and find the bound on the output."""
    start, settings = request.start, _settings(request)
    bound = _bound(settings)
    if bound is None and not (rule.fits and bound_name(request) is not None):
        bound = _window(request) or rule.most_tokens
    modalities = settings.get("modalities")
    return CallShape(
        model=start.model or "unknown",
        provider=start.provider,
        input_tokens=_count(request, settings),
        max_output_tokens=bound,
        model_max_output_tokens=rule.most_tokens,
        min_output_tokens=min(rule.least_tokens, rule.most_tokens),
        answers=_whole(settings.get("n")) or 1,
        audio=isinstance(modalities, list) and "audio" in modalities,
        service_tier=start.service_tier,
    )


def bound_name(request: Request) -> str | None:
    """Name the argument that bounds the answer of this request; None where the client takes none."""
    kind = kind_of(request.model)
    if _speaks_responses(request.model):
        return "max_output_tokens"
    if not kind.is_openai or _is_legacy_completion(request):
        return None
    # OpenAI's newer models refuse the older name; other servers may not know the newer one.
    is_openai_itself = request.start.provider == "openai" and not kind.is_azure
    return "max_completion_tokens" if is_openai_itself else "max_tokens"


def _settings(request: Request) -> Mapping[str, Any]:
    """Return what the client will send, of which the later wins: each client has its own order."""
    own = {name: value for name in _OWN if (value := getattr(request.model, name, None)) is not None}
    standing = getattr(request.model, "additional_kwargs", None)
    standing = standing if isinstance(standing, Mapping) else {}
    if kind_of(request.model).is_openai:
        return {**request.arguments, **own, **standing}
    return {**own, **standing, **request.arguments}


def _bound(settings: Mapping[str, Any]) -> int | None:
    """Return the bound on the output; the loosest, where several stand in one request."""
    named = [value for name in _BOUNDS if (value := _whole(settings.get(name)))]
    return max(named, default=None)


def _window(request: Request) -> int | None:
    """Return the model's window, which the client for OpenAI's older endpoint fills by itself."""
    if kind_of(request.model).is_openai and _is_legacy_completion(request):
        return _whole(getattr(getattr(request.model, "metadata", None), "context_window", None))
    return None


def _speaks_responses(model: object) -> bool:
    bases = type(model).__mro__
    return any(base.__name__ == "OpenAIResponses" and ".llms.openai" in base.__module__ for base in bases)


def _is_legacy_completion(request: Request) -> bool:
    metadata = getattr(request.model, "metadata", None)
    return not request.arguments.get("use_chat_completions", getattr(metadata, "is_chat_model", True))


def _count(request: Request, settings: Mapping[str, Any]) -> int:
    prompt = request.start.prompt
    if isinstance(prompt, str):
        prompt = [("user", prompt)]  # as clients of chat models send it
    if isinstance(instructions := settings.get("instructions"), str):
        prompt = [("system", instructions), *prompt]
    schemas = list(_schemas(request, settings))
    return int(count_tokens(prompt, request.start.model, provider=request.start.provider, tools=schemas))


def _schemas(request: Request, settings: Mapping[str, Any]) -> Iterator[Any]:
    own = getattr(request.model, "tools", None)
    named = request.arguments.get("tools")
    if isinstance(own, list) and isinstance(named, list) and own is not named:
        yield from own  # the client for Anthropic sends its own tools beside those of the call
    for name in _SENT_ALONG:
        value = settings.get(name)
        if isinstance(value, (list, tuple)):
            yield from value
        elif value is not None:
            yield value


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
