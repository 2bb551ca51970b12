"""Count the tokens of a text or a request before it is sent."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens._count import TokenCount
from tokenomics_core.tokens._estimate import estimate_tokens, script_shares
from tokenomics_core.tokens._families import Family, family_of
from tokenomics_core.tokens._messages import Parts, take_apart, tool_text
from tokenomics_core.tokens._vocabulary import Download, Vocabularies

if TYPE_CHECKING:
    from tiktoken import Encoding

__all__ = ["MEDIA_TOKENS", "count_tokens", "load_vocabulary"]

# OpenAI's cookbook, "How to count tokens with tiktoken", section 6: each message is framed by three tokens,
# a name takes one more, and the answer is primed with three.
# https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
_PER_MESSAGE, _PER_NAME, _PRIMING = 3, 1, 3

MEDIA_TOKENS = {"low": 85, "other": 2800}
"""Tokens per image or file: OpenAI's documented price at low detail, and about what a full-HD image costs on
the dearest of the models measured in https://huggingface.co/datasets/JOHNISKING/image-token-cost (Claude 5.5:
2,768; GPT-6: 2,448; Gemini 3: 1,101). Larger images, sound and documents can cost more."""

# tiktoken before 0.13 takes time quadratic in the length of one run of letters, and every version overflows
# its stack on a run of about a million blanks; so runs are cut. Each cut can add a token.
_LONGEST_RUN = 10_000
_LONG_RUNS = re.compile(
    rf"(?<!\w)\w{{{_LONGEST_RUN},}}|(?<!\s)\s{{{_LONGEST_RUN},}}|(?<![^\w\s])[^\w\s]{{{_LONGEST_RUN},}}"
)
_DOWNLOADS = ("background", "wait", "never")

_shared = Vocabularies()


def count_tokens(
    text_or_messages: Any,
    model: str | None = None,
    *,
    provider: str | None = None,
    tools: Iterable[Any] | None = None,
    download: Download = "background",
    vocabularies: Vocabularies | None = None,
) -> TokenCount:
    """Count the input tokens of a text or of a request's messages.

    Exact for OpenAI's models whose vocabulary tiktoken lists, where a copy of it is at hand: in tiktoken's
    cache folder or inside llama-index-core. Everything else is an estimate that says so and errs high:
    other models are counted in o200k times a factor of their family, and without any vocabulary the
    characters are judged script by script. Never raises over a missing vocabulary, and never waits for a
    network unless told to.

    Args:
        text_or_messages: A string; or a message or list of messages as OpenAI or Anthropic mappings,
            LangChain or LlamaIndex objects, (role, text) pairs, or strings from the user.
        model: The model's name in any spelling; None counts in o200k.
        provider: Who serves it; used where the model's name tells nothing.
        tools: Tool schemas or tools sent along; counted as JSON.
        download: What to do about a vocabulary that is not at hand: fetch it beside this call for later
            ones, wait for it (15 s at most), or never use the network. After a failure the next attempt
            waits ten minutes.
        vocabularies: Where vocabularies come from; by default one shared set.

    Raises:
        ConfigurationError: The messages hold something that is no message, or an argument is of a wrong
            type; nothing was counted.
    """
    _check_names(model, provider)
    if tools is not None and not isinstance(tools, Iterable):
        raise ConfigurationError(
            f"tools must be a list of tools or schemas, not {tools!r:.80}; nothing was counted"
        )
    if download not in _DOWNLOADS:
        raise ConfigurationError(f"download must be one of {', '.join(_DOWNLOADS)}, not {download!r}")
    family = family_of(model, provider)
    encoding = (vocabularies or _shared).get(family.encoding, download=download)
    is_text = isinstance(text_or_messages, str)
    parts = Parts(texts=[text_or_messages]) if is_text else take_apart(text_or_messages)
    schemas = [tool_text(tool) for tool in tools or ()]
    texts = parts.texts + schemas

    tokens, cut = _count_texts(texts, encoding)
    factor = 1.0 if family.exact else _factor(family, texts)
    frame = 0 if is_text else _PRIMING + _PER_MESSAGE * parts.messages + _PER_NAME * parts.names
    media = sum(MEDIA_TOKENS["low" if detail == "low" else "other"] for detail in parts.media)
    exact = (
        encoding is not None
        and family.exact
        and not cut
        and not schemas
        and not media
        and not parts.structured
        and (is_text or family.framed)
    )
    return TokenCount(
        math.ceil(tokens * factor) + frame + media,
        estimated=not exact,
        method=_method(encoding, family, factor, is_text=is_text, media=len(parts.media)),
    )


def load_vocabulary(
    model: str | None = None,
    *,
    download: Download = "wait",
    vocabularies: Vocabularies | None = None,
) -> bool:
    """Load a model's vocabulary ahead of the first count; False where it cannot be had.

    Worth a call at start-up: reading a vocabulary takes about a third of a second.
    """
    _check_names(model, None)
    encoding = family_of(model).encoding
    return (vocabularies or _shared).get(encoding, download=download) is not None


def _check_names(model: str | None, provider: str | None) -> None:
    for role, name in (("model", model), ("provider", provider)):
        if name is not None and not isinstance(name, str):
            raise ConfigurationError(f"{role} must be a name, not {name!r:.80}; nothing was counted")


def _count_texts(texts: list[str], encoding: Encoding | None) -> tuple[int, bool]:
    if encoding is None:
        return sum(map(estimate_tokens, texts)), False
    tokens, cut = 0, False
    for text in texts:
        pieces = _cut_long_runs(text)
        cut = cut or len(pieces) > 1
        tokens += sum(len(encoding.encode_ordinary(piece)) for piece in pieces)
    return tokens, cut


def _cut_long_runs(text: str) -> list[str]:
    if len(text) < _LONGEST_RUN or not _may_hold_long_runs(text):
        return [text]
    pieces: list[str] = []
    end = 0
    for run in _LONG_RUNS.finditer(text):
        pieces.append(text[end : run.start()])
        letters = run.group()
        pieces += [letters[at : at + _LONGEST_RUN] for at in range(0, len(letters), _LONGEST_RUN)]
        end = run.end()
    pieces.append(text[end:])
    return pieces


def _may_hold_long_runs(text: str) -> bool:
    sizes = list(map(len, text.split()))
    blanks_beyond_one = len(text) - sum(sizes) - len(sizes)
    return blanks_beyond_one >= _LONGEST_RUN - 2 or max(sizes, default=0) >= _LONGEST_RUN


def _factor(family: Family, texts: list[str]) -> float:
    other, indic = script_shares("\n".join(texts))
    return (1 - other) * family.latin + (other - indic) * family.other + indic * family.indic


def _method(encoding: Encoding | None, family: Family, factor: float, *, is_text: bool, media: int) -> str:
    words = f"tiktoken {family.encoding}" if encoding is not None else "characters by script"
    if not family.exact:
        words += f" x {factor:.2f} ({family.name})"
    if not is_text:
        words += ", framed as messages" if family.framed else ", framed like gpt-4o's messages"
    return words + (f", {media} images or files at a flat rate" if media else "")
