"""Find the one model that a name means, or say why there is none; nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tokenomics_core.pricing._names import ModelName, is_open_weights, other_spellings
from tokenomics_core.pricing._providers import Hint

if TYPE_CHECKING:
    from genai_prices import types

    from tokenomics_core.pricing._genai import PriceData

__all__ = ["Catalog", "Found", "NotFound"]

_VENDORS = (
    "openai", "anthropic", "google", "mistral", "cohere", "deepseek", "x-ai", "perplexity", "voyageai", "aws",
    "databricks", "cloudflare", "moonshotai", "minimax", "zai", "meta", "elevenlabs", "cursor", "typesafe",
)  # fmt: skip
"""Whose own models a bare name may mean; the earlier one where several list it."""
_HUB_NAMES = frozenset({"google", "openai", "mistralai", "moonshotai", "meta", "databricks", "cohere"})
"""Providers whose name is also that of a publisher of weights, as in `google/gemma-3-27b-it`."""
_WEIGHTS_VENDORS = frozenset({"deepseek", "moonshotai"})
"""Their models are published weights, which others serve at prices of their own."""
_UNPRICED = {
    "local": "a model on one's own hardware has no list price; give one with overrides",
    "unlisted": "the price data does not list this provider",
}
_TAIL = re.compile(
    r"(?:[-@](?:20\d{6}|20\d\d-\d\d-\d\d|\d\d-\d\d(?:-20\d\d|-\d{4})?|\d\d-20\d\d|\d{3,4})"
    r"|[-@]v\d(?:\.\d)?|:\d(?:\d?k)?|:\d{2,3}k|-latest|@latest|@default|-preview|-exp|-experimental|-thinking|-instruct)*"
)
"""What may follow the name of a model without making it another: dates, versions, stages."""
_HEAD = re.compile(
    r"(?:(?:us|eu|apac|ap|au|jp|ca|sa|in|me|af|il|mx|uk|us-gov|global)\.)?(?:[a-z0-9]+\.)?"
    r"|omni-|text-|c4ai-|minimax-|anthropic/"
)
_FINE_TUNED_TAIL = re.compile(r"[-\d]*(?::.*)?")


@dataclass(frozen=True, slots=True)
class Found:
    """A model in the price data.

    Attributes:
        provider: Whose price it is.
        model: The entry.
        listed_by: Whose list it stands in, where a provider takes over another's.
        note: What a reader of the bill should know about how it was found.
    """

    provider: str
    model: types.ModelInfo
    listed_by: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class NotFound:
    """Why a name means no model."""

    reason: str


class Catalog:
    """The models of the price data, by name.

    The patterns of the data are taken strictly. Where one says "starts with `gemini-1.5-flash`", what follows
    must be a date, a version or a stage; `gemini-1.5-flash-8b` is another model at another price.

    Args:
        data: The price data.
        more: By provider, full names of models that the data may lack; they come without prices.
    """

    def __init__(self, data: PriceData, more: Mapping[str, Sequence[str]] | None = None) -> None:
        self._data, self._more = data, more or {}
        self._lists: dict[str, _List] = {}

    def find(self, name: ModelName, hint: Hint | None) -> Found | NotFound:
        """Find a model.

        Args:
            name: The name.
            hint: What is known about the provider; None if nothing.
        """
        found = self._find(name, hint)
        if isinstance(found, NotFound) or name.region is None or found.provider != "aws":
            return found
        return _in_region(found, name.region)

    def _find(self, name: ModelName, hint: Hint | None) -> Found | NotFound:
        if name.refusal:
            return NotFound(name.refusal)
        if hint is not None and hint.kind == "vendor" and hint.id is not None:
            return self._find_at(hint.id, name)
        for known in (hint, name.prefix):
            if known is not None and known.kind in _UNPRICED:
                return NotFound(_UNPRICED[known.kind])
        if name.prefix is not None and name.prefix.id is not None:
            return self._find_by_prefix(name, name.prefix.id, hint)
        return self._find_bare(name.rest, hint)

    def _find_at(self, provider: str, name: ModelName) -> Found | NotFound:
        found = next(self._matches(provider, (name.full, name.rest)), None)
        return found if found is not None else NotFound(f"{provider} does not list this model")

    def _find_by_prefix(self, name: ModelName, prefix: str, hint: Hint | None) -> Found | NotFound:
        publisher = name.full.partition("/")[0]
        if name.is_path and publisher in _HUB_NAMES and is_open_weights(name.rest):
            return NotFound("anyone may serve this model; say which provider does")
        models = {id(found.model): found for found in self._matches(prefix, (name.rest, name.full))}
        if not models:
            return NotFound(f"{prefix} does not list this model")
        if len(models) > 1:
            return NotFound(f"{prefix} has two models of this name; give the provider apart from the name")
        found = next(iter(models.values()))
        if name.is_path and self._is_priced_differently(name.full, found, hint):
            return NotFound(f"{prefix} and openrouter price this name differently; say which provider it is")
        return found

    def _matches(self, provider: str, refs: Iterable[str]) -> Iterator[Found]:
        for ref in refs:
            if found := self._match(provider, ref):
                yield found

    def _is_priced_differently(self, full: str, found: Found, hint: Hint | None) -> bool:
        """Whether a gateway uses the very same name for another price, and may be the one that is meant."""
        if found.provider == "openrouter" or (hint is not None and hint.id is None):
            return False
        routed = self._match("openrouter", full)
        return routed is not None and _latest(routed.model) != _latest(found.model)

    def _find_bare(self, ref: str, hint: Hint | None) -> Found | NotFound:
        own = hint.id if hint is not None else None
        if own is not None and (found := self._match(own, ref)):
            return found
        if is_open_weights(ref):
            return NotFound("anyone may serve this model; say which provider does")
        for vendor in _VENDORS:
            found = self._match(vendor, ref) if vendor in self._data.by_id else None
            if found is not None:
                note = f"{own} does not list it; the price is that of {vendor}" if own else None
                return Found(vendor, found.model, found.listed_by, note)
        return NotFound("no provider of its own models lists this name")

    def _match(self, provider: str, ref: str) -> Found | None:
        entry = self._data.by_id.get(provider)
        if entry is None:
            return None
        others = (other for other in entry.fallback_model_providers or () if other not in _WEIGHTS_VENDORS)
        for listed_by in (provider, *others):
            if listed_by not in self._data.by_id:
                continue
            for spelling in other_spellings(ref):
                if model := self._list(listed_by).find(spelling):
                    return Found(provider, model, listed_by)
        return None

    def _list(self, provider: str) -> _List:
        if provider not in self._lists:
            self._lists[provider] = _List(self._data.by_id[provider], self._more.get(provider, ()))
        return self._lists[provider]


def _in_region(found: Found, region: str) -> Found | NotFound:
    """Judge a Bedrock model's price by where it runs; the data tells regions apart for some models only."""
    by_region = found.model.id.startswith(("regional.", "global."))
    if region.startswith("us-gov-") or (region == "us-gov" and not by_region):
        return NotFound("prices of this region are not in the data")
    if by_region or region in {"us", "global"} or region.startswith("us-"):
        return found
    note = f"the price data does not tell regions apart for this model; the price in {region} may be higher"
    return replace(found, note=note)


def _latest(model: types.ModelInfo) -> tuple[object, object]:
    prices = model.prices[-1].prices if isinstance(model.prices, list) else model.prices
    return _plain(prices.input_mtok), _plain(prices.output_mtok)


def _plain(price: object) -> object:
    return getattr(price, "base", price)


class _List:
    """One provider's models, found by name."""

    def __init__(self, provider: types.Provider, more: Iterable[str]) -> None:
        self._by_name: dict[str, types.ModelInfo] = {}
        self._loose: list[tuple[types.MatchLogic, types.ModelInfo]] = []
        for model in provider.models:
            for clause in _alternatives(model.match):
                if (equals := getattr(clause, "equals", None)) is not None:
                    self._by_name.setdefault(equals.lower(), model)
                else:
                    self._loose.append((clause, model))
        for model in provider.models:
            self._by_name.setdefault(model.id.lower(), model)
        self._more = {name: _without_prices(name) for name in more}

    def find(self, ref: str) -> types.ModelInfo | None:
        """Return the model that a name means in this list."""
        tuned = ref.startswith("ft:") or ".ft-" in ref or ":ft-" in ref
        model = self._by_name.get(ref)
        if model is None:
            model = next((model for clause, model in self._loose if _fits(clause, ref)), None)
        if model is None:
            model = self._more.get(ref)
        if model is not None and tuned and not (model.id.startswith("ft:") or ".ft-" in model.id):
            return None
        return model


def _without_prices(name: str) -> types.ModelInfo:
    from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice  # noqa: PLC0415 - loaded with the data

    return ModelInfo(id=name, match=ClauseEquals(name), prices=ModelPrice())


def _alternatives(clause: types.MatchLogic) -> Iterator[types.MatchLogic]:
    options = getattr(clause, "or_", None)
    if options is None:
        yield clause
    else:
        for option in options:
            yield from _alternatives(option)


def _fits(clause: types.MatchLogic, ref: str) -> bool:
    """Whether a pattern means this name and not merely a part of it."""
    if (parts := getattr(clause, "and_", None)) is not None:
        return all(_fits(part, ref) for part in parts)
    if not clause.is_match(ref):
        return False
    start, end, part = (getattr(clause, name, None) for name in ("starts_with", "ends_with", "contains"))
    if start is not None:
        return _is_tail(start.lower(), ref[len(start) :])
    if end is not None:
        return _HEAD.fullmatch(ref[: -len(end)]) is not None
    if part is not None:
        head, _, tail = ref.partition(part.lower())
        return _HEAD.fullmatch(head) is not None and _is_tail(part.lower(), tail)
    return True


def _is_tail(name: str, tail: str) -> bool:
    if name.endswith(".ft-"):
        return bool(tail)
    if name.startswith("ft:"):
        return _FINE_TUNED_TAIL.fullmatch(tail) is not None
    if name[-1] in "-@":
        tail = f"{name[-1]}{tail}"
    elif name.endswith("-0") and tail[:1].isdigit():
        tail = f"-0{tail}"
    return _TAIL.fullmatch(tail) is not None or (name == "claude-2" and tail in {".0", ".1"})
