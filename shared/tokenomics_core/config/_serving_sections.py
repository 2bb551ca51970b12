"""The sections that say which model answers and what it is sent: router and compression."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tokenomics_core.config._sections import check_between, check_one_of
from tokenomics_core.errors import ConfigurationError

__all__ = ["CLASSIFIERS", "CompressSettings", "RouterSettings", "TierSettings"]

CLASSIFIERS = ("shipped", "heuristic", "none")
_TARGETS = ("quality", "usd_per_1000", "share", "threshold", "floor")


@dataclass(frozen=True, slots=True, kw_only=True)
class TierSettings:
    """One model to choose from; see `tokenomics_core.routing.Tier`, whose words these are.

    Attributes:
        name: What routes and reports call it.
        model: As the provider names it.
        provider: Who serves it.
        price_usd_per_mtok: Its own price: input and output, or input, cached input and output.
        window: Tokens of input and output together that it can take.
        max_output: Most tokens that it writes.
        capabilities: What it can do; none for everything.
        languages: What it understands; none for all.
        effort: Reasoning effort to ask it for.
        quality: Chance that its answer is good enough where nothing was learned about it.
        typical_output_tokens: What an answer usually takes.
    """

    name: str
    model: str
    provider: str | None = None
    price_usd_per_mtok: tuple[Decimal, ...] | None = None
    window: int | None = None
    max_output: int | None = None
    capabilities: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    effort: str | None = None
    quality: float | None = None
    typical_output_tokens: int | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.model.strip():
            raise ConfigurationError(f"a tier needs a name and a model, not {self.name!r} and {self.model!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """Which model answers what.

    Attributes:
        tiers: The weakest first.
        classifier: `shipped`, `heuristic`, `none`, or a file of weights as `tokenomics router train` writes.
        quality: Share of the best tier's quality to keep. Of the five targets at most one is given; without
            any it is a quality of 0.95.
        usd_per_1000: What 1,000 calls may cost.
        share: Share of calls to the strongest tier.
        threshold: The least gain that goes to the strongest tier.
        floor: The least chance of a good answer.
        start: Where the target's controller starts, as `tokenomics router calibrate` solves it.
        eta: How far one decision moves it.
        safe_tier: Where requests go that cannot be judged; the last tier if none.
        explore: Share of decisions made at random.
        holdout: Share of requests that is not routed.
        max_cost_usd: Most that a call may be expected to cost.
        quality_floor: Least chance of a good answer to accept.
        learning_rate: How much one label of feedback moves a tier's chances.
        out_of_domain: `robust` or `safe`.
        usual_output_tokens: Expected length of answers until reports tell.
        seed: Of exploration; none for chance.
    """

    tiers: tuple[TierSettings, ...]
    classifier: str = "shipped"
    quality: float | None = None
    usd_per_1000: Decimal | None = None
    share: float | None = None
    threshold: float | None = None
    floor: float | None = None
    start: float | None = None
    eta: float | None = None
    safe_tier: str | None = None
    explore: float = 0.0
    holdout: float = 0.0
    max_cost_usd: Decimal | None = None
    quality_floor: float | None = None
    learning_rate: float = 0.05
    out_of_domain: str = "robust"
    usual_output_tokens: int = 256
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.tiers:
            raise ConfigurationError("a router needs tiers; none was given")
        names = [tier.name for tier in self.tiers]
        if len(set(names)) != len(names):
            raise ConfigurationError(f"tiers need names of their own, not {', '.join(names)}")
        if len(given := self.targets) > 1:
            raise ConfigurationError(f"a router has one target, not {' and '.join(given)}")
        if self.classifier == "none" and (mute := [tier.name for tier in self.tiers if tier.quality is None]):
            raise ConfigurationError(f"without a classifier each tier needs a quality; {mute[0]!r} has none")
        if self.safe_tier is not None:
            check_one_of("safe_tier", self.safe_tier, tuple(names))
        check_one_of("out_of_domain", self.out_of_domain, ("robust", "safe"))
        for name in ("explore", "holdout"):
            check_between(name, getattr(self, name), 0, 1, closed=True)

    @property
    def targets(self) -> tuple[str, ...]:
        """Which target is set; empty for the default."""
        return tuple(name for name in _TARGETS if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressSettings:
    """How much of the context is sent.

    Where neither `ratio` nor `max_tokens` nor `min_relevance` nor `history_tokens` is set, documents are cut
    to what is relevant.

    Attributes:
        ratio: The share of the documents' tokens to send.
        max_tokens: The most tokens of documents to send.
        min_relevance: Leave out what is less likely than this to belong to the answer.
        by_meaning: Whether to ask an embedder at all.
        marker: What stands where something is missing.
        separator: What the prompt puts between documents.
        order: `source` or `edges`.
        model: Whose tokens to count.
        template: How the application's prompt is written, with `{context}` and `{question}` in it. Only a
            simulation needs it: a log holds finished prompts.
        history_tokens: The most tokens of a conversation to send; none leaves conversations whole.
        keep_last: How many last messages stay.
    """

    ratio: float | None = None
    max_tokens: int | None = None
    min_relevance: float | None = None
    by_meaning: bool = True
    marker: str = " … "
    separator: str = "\n\n"
    order: str = "source"
    model: str | None = None
    template: str | None = None
    history_tokens: int | None = None
    keep_last: int = 4

    def __post_init__(self) -> None:
        check_one_of("order", self.order, ("source", "edges"))
        if self.ratio is not None and not 0 < self.ratio <= 1:
            raise ConfigurationError(f"ratio must be above 0 and at most 1, not {self.ratio!r}")
        if self.template is not None and self.template.count("{context}") != 1:
            raise ConfigurationError(f"template must hold {{context}} once, not {self.template!r:.80}")
        if self.history_tokens is not None and self.history_tokens < 1:
            raise ConfigurationError(f"history_tokens must be 1 or more, not {self.history_tokens!r}")

    @property
    def cuts_documents(self) -> bool:
        """Whether documents are compressed."""
        is_bounded = any(value is not None for value in (self.ratio, self.max_tokens, self.min_relevance))
        return is_bounded or self.history_tokens is None

    def document_options(self) -> dict[str, Any]:
        """Return what `compress` and the adapters' compressors of documents are told."""
        names = (
            "ratio",
            "max_tokens",
            "min_relevance",
            "by_meaning",
            "marker",
            "separator",
            "order",
            "model",
        )
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def history_options(self) -> dict[str, Any]:
        """Return what `compress_history` and the adapters' compressors of conversations are told."""
        options = {"max_tokens": self.history_tokens, "keep_last": self.keep_last, "model": self.model}
        return {
            name: value
            for name, value in {**options, "by_meaning": self.by_meaning}.items()
            if value is not None
        }
