"""Which vocabulary a model uses, and how much more tokens other vocabularies make of a text than o200k.

Names and vocabularies of OpenAI's models: `tiktoken.model` 0.14. The factors are the largest ratios to
o200k that were published for the family, over the languages measured, so that an estimate errs high:

* FLORES+ (997 sentences in 16 languages) as counted by mothertoken, `default_benchmark.json` of 2026-06-24
  (https://github.com/inimaz/mothertoken): Qwen 3, DeepSeek V3.2, Mistral 7B and cl100k. Vietnamese, where
  older vocabularies need up to twice the tokens, is left out of the Latin factors.
* WikiCat, 204 languages (https://github.com/Norod/wikicat-tokenizer-eval): Gemma 3 makes on average 1.06
  and Llama 4 1.02 times the tokens of o200k; the factors leave room for languages off the average.
* Claude to version 4.6: 1.16 on English, 1.21 on mathematics, 1.30 on Python
  (VentureBeat, "Hidden costs in AI deployment: Why Claude models may be 20-30% more expensive than GPT in
  enterprise settings", May 2025, for Claude 3.5 Sonnet against GPT-4o);
  Chinese 1.5, Hindi and Arabic 2.1 (Komatsuzaki, April 2026: multiples of English on o200k, divided by
  o200k's own on FLORES+). Later ones: 1.3 times that
  (https://platform.claude.com/docs/en/build-with-claude/token-counting).
* All others are taken to be no worse than cl100k, which has half of o200k's entries.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Family", "family_of"]


@dataclass(frozen=True, slots=True)
class Family:
    """How the models of a family count.

    Attributes:
        encoding: The tiktoken encoding to count with.
        exact: Whether that encoding is the family's own, as tiktoken lists it.
        framed: Whether OpenAI documented the family's tokens per message.
        latin: Tokens per token of the encoding in Latin script; likewise for the others.
    """

    name: str
    encoding: str = "o200k_base"
    exact: bool = False
    framed: bool = False
    latin: float = 1.0
    other: float = 1.0
    indic: float = 1.0


_O200K = Family("OpenAI", exact=True)
_GPT_4O = Family("OpenAI", exact=True, framed=True)
_GPT_4 = Family("OpenAI", encoding="cl100k_base", exact=True, framed=True)
_CL100K = Family("OpenAI", encoding="cl100k_base", exact=True)
_HARMONY = Family("OpenAI", encoding="o200k_harmony", exact=True)
_NEWER_OPENAI = Family("OpenAI, newer than tiktoken's list")
_CLAUDE = Family("Claude", latin=1.30, other=2.1, indic=2.1)
_NEWER_CLAUDE = Family("Claude, newer tokenizer", latin=1.69, other=2.73, indic=2.73)
_GEMINI = Family("Gemini", latin=1.15, other=1.15, indic=1.15)
_LLAMA_4 = Family("Llama 4", latin=1.10, other=1.10, indic=1.10)
_QWEN = Family("Qwen", latin=1.35, other=1.50, indic=2.90)
_DEEPSEEK = Family("DeepSeek", latin=1.45, other=1.25, indic=1.85)
_MISTRAL_V1 = Family("Mistral, first vocabulary", latin=1.75, other=2.85, indic=3.25)
_UNKNOWN = Family("unknown", latin=1.36, other=2.30, indic=3.10)
_UNNAMED = Family("no model named")

# The first match decides; what follows a boundary is a model's name behind any provider's prefix.
_PATTERNS: tuple[tuple[re.Pattern[str], Family], ...] = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"claude-(?:v?[12]\b|instant|3)", _CLAUDE),
        (r"claude-(?:opus|sonnet|haiku)-4(?:[-.][0-6])?(?![-.]?\d{1,2}(?!\d))", _CLAUDE),
        (r"claude", _NEWER_CLAUDE),
        (r"gemini|gemma|learnlm", _GEMINI),
        (r"llama-?4", _LLAMA_4),
        (r"qwen|qwq", _QWEN),
        (r"deepseek", _DEEPSEEK),
        (r"(?:mistral-7b|mixtral-8x7b|mistral-(?:large|small|medium)-(?:2312|2402))", _MISTRAL_V1),
        (r"llama|mistral|mixtral|phi-|command|grok|nova|kimi|glm-", _UNKNOWN),
        (r"\bgpt-oss", _HARMONY),
        (r"\b(?:chatgpt-4o|gpt-4o)", _GPT_4O),
        (r"\b(?:gpt-4\.1|gpt-4\.5|gpt-5)|(?:^|[/:.])o[134](?![a-z0-9])", _O200K),
        (r"\b(?:gpt-4|gpt-3\.5|gpt-35)(?!\d)", _GPT_4),
        (r"\b(?:text-embedding-(?:ada|3)|davinci-002|babbage-002)", _CL100K),
        (r"\b(?:gpt-|codex|computer-use)", _NEWER_OPENAI),
    )
)
_PROVIDERS = {
    "anthropic": _NEWER_CLAUDE,
    "google": _GEMINI,
    "gemini": _GEMINI,
    "vertex": _GEMINI,
    "deepseek": _DEEPSEEK,
    "qwen": _QWEN,
    "openai": _NEWER_OPENAI,
    "azure": _NEWER_OPENAI,
}


@lru_cache(maxsize=1024)
def family_of(model: str | None, provider: str | None = None) -> Family:
    """Return how a model counts; the provider decides where its name tells nothing."""
    name = (model or "").lower()
    for pattern, family in _PATTERNS:
        if pattern.search(name):
            return family
    told = (provider or "").lower()
    for word, family in _PROVIDERS.items():
        if word in told:
            return family
    return _UNKNOWN if name else _UNNAMED
