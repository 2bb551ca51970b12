"""From a spelling to a schedule of prices: aliases, own prices, the data, the overlay, discounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing._catalog import Catalog, Found, NotFound
from tokenomics_core.pricing._entries import read_amount, with_joins
from tokenomics_core.pricing._genai import PriceData, offers_of
from tokenomics_core.pricing._names import ModelName, read_model_name
from tokenomics_core.pricing._overlay import Overlay
from tokenomics_core.pricing._overrides import Overrides, OwnModel
from tokenomics_core.pricing._providers import Hint, provider_id, read_provider
from tokenomics_core.pricing._schedule import Offer, Schedule

__all__ = ["Resolver", "Settings"]

_UNLISTED = Hint(None, "unlisted")
_ANYONE = Hint(None, "dialect")
_MINIMUM_AUDIO_S = {("groq", "whisper-large-v3"): 10, ("groq", "whisper-large-v3-turbo"): 10}
"""What genai-prices charges at least, though its data does not say so: https://groq.com/pricing."""


@dataclass(frozen=True)
class Settings:
    """What the user said about prices, checked.

    Attributes:
        overrides: The user's own prices.
        aliases: Names of the user's own, in lower case, and the model behind each.
        discounts: Multipliers by `provider` or `provider/model`, in the data's words.
        overlay: Our corrections; None where the data is to be taken as it is.
    """

    overrides: Overrides
    aliases: Mapping[str, str]
    discounts: Mapping[str, Decimal]
    overlay: Overlay | None

    @staticmethod
    def read_aliases(aliases: Mapping[str, str] | None) -> dict[str, str]:
        """Check aliases.

        Raises:
            ConfigurationError: A name or a target is no text.
        """
        if aliases is not None and not isinstance(aliases, Mapping):
            raise ConfigurationError(f"aliases must map names to names, not {aliases!r:.80}")
        for name, target in (aliases or {}).items():
            if (
                not isinstance(name, str)
                or not isinstance(target, str)
                or not name.strip()
                or not target.strip()
            ):
                raise ConfigurationError(f"aliases must map names to names, not {name!r} to {target!r}")
        return {name.strip().lower(): target for name, target in (aliases or {}).items()}

    @staticmethod
    def read_discounts(discounts: Mapping[str, Any] | None) -> dict[str, Decimal]:
        """Check discounts.

        Raises:
            ConfigurationError: A provider is not in the price data, or a multiplier is not above 0.
        """
        if discounts is not None and not isinstance(discounts, Mapping):
            raise ConfigurationError(f"discounts must map providers to multipliers, not {discounts!r:.80}")
        read: dict[str, Decimal] = {}
        for key, value in (discounts or {}).items():
            provider, _, model = str(key).partition("/")
            hint = read_provider(provider)
            if hint is None or hint.id is None or hint.kind in {"local", "unlisted"}:
                raise ConfigurationError(
                    f"discounts know no provider {provider!r} in {key!r}; none was applied"
                )
            factor = read_amount(value, f"discounts[{key!r}]")
            if factor == 0:
                raise ConfigurationError(
                    f"discounts[{key!r}] must be above 0, not {value!r}; none was applied"
                )
            read[f"{hint.id}/{model.lower()}" if model else hint.id] = factor
        return read


@dataclass(frozen=True, slots=True)
class _Request:
    """A name and what is known about its provider, aliases followed."""

    names: tuple[str, ...]
    name: ModelName
    hint: Hint | None
    provider: str | None
    notes: tuple[str, ...] = ()


class Resolver:
    """Builds the schedule of any spelling of a model, from one set of price data."""

    def __init__(self, data: PriceData, settings: Settings) -> None:
        self._data, self._settings = data, settings
        overlay = settings.overlay
        self._catalog = Catalog(data, overlay.models if overlay is not None else {})

    def schedule(self, model: str, provider: str | None) -> Schedule | NotFound:
        """Return every price of a model, or why none is known."""
        request = self._read(model, provider)
        overrides = self._settings.overrides
        own = overrides.find(request.names, request.provider)
        found = self._catalog.find(request.name, request.hint)
        if isinstance(found, NotFound):
            if own is None and request.provider is None:
                own = overrides.find(request.names, None, lenient=True)
            return found if own is None else self._schedule(request, own, None)
        if own is None:
            ids = (found.model.id, f"{found.provider}/{found.model.id}")
            own = overrides.find(ids, found.provider)
        return self._schedule(request, own, found)

    def _read(self, model: str, provider: str | None) -> _Request:
        name = read_model_name(model)
        hint = None if not provider or not provider.strip() else read_provider(provider) or _UNLISTED
        names = (model.strip(), name.full, name.rest)
        target = next((t for n in names if (t := self._settings.aliases.get(n.lower())) is not None), None)
        if target is None:
            known = hint.id if hint is not None else name.prefix.id if name.prefix is not None else None
            if hint is not None and hint.id is None and hint.kind != "dialect":
                known = provider_id(provider or "")
            return _Request(names, name, hint, known)
        return self._follow(model, target, hint)

    def _follow(self, alias: str, target: str, hint: Hint | None) -> _Request:
        """Read the name behind an alias; whoever wrote the alias knows what answers."""
        name = read_model_name(target)
        at_hand = hint is not None and hint.kind == "vendor" and name.prefix is None
        if not at_hand or isinstance(self._catalog.find(name, hint), NotFound):
            hint = _ANYONE
        known = hint.id if hint is not None and hint.id else name.prefix.id if name.prefix else None
        note = f"{alias} is an alias of {target}"
        return _Request((target.strip(), name.full, name.rest), name, hint, known, (note,))

    def _schedule(self, request: _Request, own: OwnModel | None, found: Found | None) -> Schedule:
        offers: list[Offer] = [] if found is None else self._offers(found)
        if own is not None:
            offers += [
                replace(offer, sheet=with_joins(offer.sheet)) if offer.sheet else offer
                for offer in own.offers
            ]
        overlay = self._settings.overlay
        notes = request.notes if found is None or found.note is None else (*request.notes, found.note)
        model = found.model.id if found is not None else own.name if own is not None else request.name.full
        provider = (
            found.provider if found is not None else (own.provider if own else None) or request.provider
        )
        native = found is not None and found.listed_by == found.provider
        return Schedule(
            model,
            provider,
            offers,
            fallback=found is not None,
            batch_rule=overlay.batch_rules.get(provider or "") if overlay is not None and native else None,
            discount=self._discount(request, found),
            guarded=overlay is not None,
            minimum_audio_s=_MINIMUM_AUDIO_S.get((provider or "", model), 0),
            notes=notes,
        )

    def _offers(self, found: Found) -> list[Offer]:
        native = found.listed_by == found.provider
        by = "" if native else f" for {found.provider}"
        source = f"{self._data.name}: {found.listed_by}/{found.model.id}{by}"
        offers = list(offers_of(found.model, source, with_variants=native))
        overlay = self._settings.overlay
        return offers if overlay is None else overlay.correct(offers, found.listed_by, found.model.id)

    def _discount(self, request: _Request, found: Found | None) -> Decimal | None:
        if found is None:
            return None
        names = (found.model.id, *request.names)
        keys = (*(f"{found.provider}/{name.lower()}" for name in names), found.provider)
        return next((self._settings.discounts[key] for key in keys if key in self._settings.discounts), None)
