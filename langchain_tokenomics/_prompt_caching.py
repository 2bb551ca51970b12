"""Let providers cache what an agent's calls share, for as long as that pays."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, cast

from tokenomics_core.errors import MissingExtraError

try:
    import langchain.agents.middleware as _  # noqa: F401 - asked for only to know whether it is there
except ModuleNotFoundError as error:
    raise MissingExtraError("langchain", "agents") from error

from langchain.agents.middleware.types import (
    AgentMiddleware,
    AgentState,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs, var_child_runnable_config

from langchain_tokenomics._budget_rules import config_here
from langchain_tokenomics._cache_mark import MARK as CACHE_MARK
from langchain_tokenomics._context_ledger import PREFIX_KEY
from langchain_tokenomics._messages import model_of, provider_of
from langchain_tokenomics._prefix_layers import (
    Family,
    Layer,
    Parts,
    Place,
    cleaned,
    end_of,
    own_marks,
    read_layers,
    sorted_tools,
    with_marks,
    without_oldest_marks,
)
from langchain_tokenomics._prefix_watch import PrefixWatch, PromptCacheReport, Sent
from langchain_tokenomics._route_marks import takes_marks
from tokenomics_core.pricing import default_price_book
from tokenomics_core.prompts import NO_CACHING, CacheRule, GrowingPrefixPlanner, PrefixPlanner, find_rule
from tokenomics_core.protocols import Pricer
from tokenomics_core.tokens import count_tokens
from tokenomics_core.usage import usage_from_langchain

__all__ = ["PromptCachingMiddleware"]

_Response = ModelResponse[Any] | ExtendedModelResponse[Any] | AIMessage
_MOST_TEXTS = 10_000
_LOOK_BACK_BLOCKS = 20
"""How far before a mark Anthropic looks for an earlier entry.

Source:
    https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
"""


class PromptCachingMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """Marks for the provider's cache what calls share, where and for as long as it pays.

    create_agent(model, tools, middleware=[PromptCachingMiddleware()])

    One middleware for every provider, told by the model of each call: `cache_control` for Anthropic's models,
    breakpoints for OpenAI's that take them, nothing for those that cache unasked. Marks stand at the end of
    each lasting layer (tools, system, documents, what the call before sent, all), at most as many as the
    provider takes, a caller's own included, of which the oldest go where they are more, and only where the
    layer is long enough to be cached at all. Whether, and for how long, is chosen from the gaps between calls
    seen so far, of this prefix and of all. Tools are sent sorted, with their keys in order, so that equal
    tools are equal bytes. What only another provider understands is left out, so that a switch of models
    fails nowhere. The thread's messages are not changed.

    Put it last, after whatever chooses the model or edits messages. `report()` tells the hit rate, what was
    saved, and what was lost to misses and why; an open `track_cost` block credits each call with what its
    provider's cache saved, less what writing cost.

    Args:
        rules: By model's name as the calls name it, rules that go before the shipped ones.
        sort_tools: Whether to send tools sorted.
        prices: What calls cost; the shared price book where none is given.
        clock: Gives seconds that never run backwards.
    """

    def __init__(
        self,
        *,
        rules: Mapping[str, CacheRule] | None = None,
        sort_tools: bool = True,
        prices: Pricer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._rules, self._sort_tools, self._clock = dict(rules or {}), sort_tools, clock
        self._watch = PrefixWatch(prices if prices is not None else default_price_book())
        self._planners: dict[tuple[str, str], PrefixPlanner | GrowingPrefixPlanner] = {}
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    def report(self) -> PromptCacheReport:
        """Return what caching was worth so far."""
        return self._watch.report()

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> _Response:
        """Send a call with its marks."""
        asked, sent = self._prepared(request)
        with _told(sent):
            response = handler(asked)
        self._received(sent, response)
        return response

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> _Response:
        """Send a call with its marks; nothing here waits for anything but the call."""
        asked, sent = self._prepared(request)
        with _told(sent):
            response = await handler(asked)
        self._received(sent, response)
        return response

    def _prepared(self, request: ModelRequest[Any]) -> tuple[ModelRequest[Any], Sent | None]:
        target = _target_of(request.model, self._rules)
        tools = sorted_tools(request.tools) if self._sort_tools else list(request.tools)
        parts = Parts(tuple(tools), request.system_message, tuple(request.messages))
        parts, settings = cleaned(parts, request.model_settings, target.family)
        sent = None
        if target.rule is not None:
            layers = read_layers(parts, lambda text: self._counted(text, target))
            now_s = self._clock()
            choices = self._choices(target, layers, _conversation(request), now_s)
            parts, settings, marked = _applied(parts, settings, choices, layers, target)
            choice = choices.get("history", NO_CACHING)
            ttls_s = {name: float(target.rule.ttls_s[ttl]) for name, ttl in marked.items()}
            sent = self._watch.send(
                target.model, target.provider, _conversation(request), layers, ttls_s, now_s, choice,
                exact=target.family == "openai",
            )  # fmt: skip
        asked = request.override(
            tools=list(parts.tools),
            system_message=parts.system,
            messages=cast("Any", list(parts.messages)),
            model_settings=settings,
        )
        return asked, sent

    def _choices(
        self, target: _Target, layers: list[Layer], conversation: str, now_s: float
    ) -> dict[str, str]:
        """Choose a lifetime for each layer, or none; what lives longer stands before what lives shorter."""
        rule = cast("CacheRule", target.rule)
        chosen: dict[str, str] = {}
        for layer in layers:
            if layer.name == "earlier":
                continue
            prefix = conversation if layer.name == "history" else layer.digest
            chosen[layer.name] = self._planner(target, layer.name).choose(prefix, layer.tokens, now_s)
        earlier = next((layer for layer in layers if layer.name == "earlier"), None)
        if earlier is not None and earlier.tokens >= rule.minimum_tokens and "history" in chosen:
            chosen["earlier"] = chosen["history"]
        longest = NO_CACHING
        for layer in reversed(layers):
            name = chosen.get(layer.name, NO_CACHING)
            if name == NO_CACHING:
                chosen.pop(layer.name, None)
                continue
            if longest == NO_CACHING or rule.ttls_s[name] > rule.ttls_s[longest]:
                longest = name
            chosen[layer.name] = longest
        return chosen

    def _planner(self, target: _Target, layer: str) -> PrefixPlanner | GrowingPrefixPlanner:
        rule, key = cast("CacheRule", target.rule), (target.model, layer)
        with self._lock:
            if key not in self._planners:
                grows = layer == "history" and not rule.automatic
                self._planners[key] = GrowingPrefixPlanner(rule) if grows else PrefixPlanner(rule)
            return self._planners[key]

    def _counted(self, text: str, target: _Target) -> int:
        key = blake2b(f"{target.model}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
        with self._lock:
            known = self._counts.get(key)
        if known is not None:
            return known
        tokens = int(count_tokens(text, target.model, provider=target.provider))
        with self._lock:
            self._counts[key] = tokens
            while len(self._counts) > _MOST_TEXTS:
                self._counts.popitem(last=False)
        return tokens

    def _received(self, sent: Sent | None, response: Any) -> None:
        if sent is None:
            return
        inner = response.model_response if isinstance(response, ExtendedModelResponse) else response
        result = inner.result if isinstance(inner, ModelResponse) else [inner]
        message = next((one for one in result if isinstance(one, AIMessage)), None)
        if message is None or CACHE_MARK in message.response_metadata:
            return  # nobody was asked
        usage = usage_from_langchain(message.usage_metadata, response_metadata=message.response_metadata)
        self._watch.receive(sent, usage)


@dataclass(frozen=True, slots=True)
class _Target:
    """Who is asked, and what is known of how it caches."""

    model: str
    provider: str | None
    family: Family
    rule: CacheRule | None


def _target_of(model: Any, rules: Mapping[str, CacheRule]) -> _Target:
    told: Any = model._get_ls_params() if isinstance(model, BaseChatModel) else {}  # noqa: SLF001 - there is no other way to ask a model its name
    name, provider = model_of({}, told) or "", provider_of(told)
    is_anthropic = takes_marks(provider, getattr(model, "_llm_type", ""))
    if is_anthropic:
        rule = rules.get(name) or find_rule(name.rpartition("anthropic.")[2], "anthropic")
    else:
        rule = rules.get(name) or find_rule(name, provider)
    family: Family = "none"
    if rule is not None and rule.breakpoints:
        family = "anthropic" if is_anthropic else "openai" if rule.provider == "openai" else "none"
    return _Target(name, provider, family, rule)


def _applied(
    parts: Parts, settings: dict[str, Any], choices: Mapping[str, str], layers: list[Layer], target: _Target
) -> tuple[Parts, dict[str, Any], dict[str, str]]:
    """Place the marks that were chosen, as far as there is room; where nobody can, all layers count."""
    rule = cast("CacheRule", target.rule)
    if target.family == "none":
        long = [layer.name for layer in layers if layer.tokens >= rule.minimum_tokens]
        names = [name for name in long if name in choices] if rule.automatic else []
        return parts, settings, {name: choices[name] for name in names}
    own = own_marks(parts, settings)
    if target.family == "anthropic" and len(own) > rule.breakpoints:  # more are refused
        parts = without_oldest_marks(parts, own, rule.breakpoints)
        own = own_marks(parts, settings)
    room = rule.breakpoints - len(own)
    names = [layer.name for layer in layers if layer.name in choices]
    if target.family == "openai":
        names = [name for name in names if name != "tools"]  # its marks stand in messages only
    elif len(names) > room and _is_near(layers):
        names = [name for name in names if name != "earlier"]
    names = names[-room:] if room > 0 else []
    ttls: dict[str, str] = {
        layer.name: _between(own, end_of(layer, parts), choices[layer.name], rule)
        for layer in layers
        if layer.name in names
    }
    marks: dict[Any, Mapping[str, Any]] = {name: _mark(target.family, ttl) for name, ttl in ttls.items()}
    if target.family == "openai" and "prompt_cache_options" not in settings:
        ttl = next((ttls[name] for name in reversed(names)), next(iter(rule.ttls_s)))
        settings = {**settings, "prompt_cache_options": {"mode": "explicit", "ttl": ttl}}
    return with_marks(parts, marks, layers, target.family), settings, ttls


def _between(own: Mapping[Place, str | None], end: Place, choice: str, rule: CacheRule) -> str:
    """Fit a lifetime to the marks that a caller has placed: behind a shorter one, a longer is refused.

    Source:
        https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching, "Mixing different TTLs"
    """
    brief = min(rule.ttls_s.values())
    before = [rule.ttls_s.get(ttl or "", brief) for place, ttl in own.items() if place < end]
    after = [rule.ttls_s.get(ttl or "", brief) for place, ttl in own.items() if place > end]
    wanted = min(max(rule.ttls_s[choice], *after, 0), *before, max(rule.ttls_s.values()))
    return next(name for name, ttl_s in rule.ttls_s.items() if ttl_s == wanted)


def _mark(family: Family, ttl: str) -> dict[str, Any]:
    return {"type": "ephemeral", "ttl": ttl} if family == "anthropic" else {"mode": "explicit"}


def _is_near(layers: list[Layer]) -> bool:
    """Whether the provider finds what the call before sent by looking back from the last mark."""
    blocks = {layer.name: layer.blocks for layer in layers}
    return "earlier" in blocks and blocks["history"] - blocks["earlier"] < _LOOK_BACK_BLOCKS


def _conversation(request: ModelRequest[Any]) -> str:
    thread = config_here().get("configurable", {}).get("thread_id")
    if thread is not None:
        return f"thread {thread}"
    first = next((one for one in request.messages if isinstance(one, HumanMessage)), None)
    said = "" if first is None else f"{first.id}\0{first.text}"
    return blake2b(said.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


@contextmanager
def _told(sent: Sent | None) -> Iterator[None]:
    """Tell the runs inside, and so the bill, that what is cached was chosen here."""
    if sent is None or not sent.ttls_s:
        yield
        return
    here = cast("RunnableConfig", dict(config_here()))
    config = merge_configs(here, RunnableConfig(metadata={PREFIX_KEY: sent.choice}))
    token = var_child_runnable_config.set(config)
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)
