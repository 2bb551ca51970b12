"""Send what a tool said in fewer tokens: without loss where that can be, else saying what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tokenomics_core.compression._columnar import columnar
from tokenomics_core.compression._columnar_read import read_columnar
from tokenomics_core.compression._fold import fold_diff, fold_log, fold_repeats, fold_trace
from tokenomics_core.compression._html import html_text, is_html
from tokenomics_core.compression._json_text import (
    Json,
    NotExactJsonError,
    exact_json,
    minified,
    quoted,
    without_blanks,
)
from tokenomics_core.compression._lines import fit_lines, relevance
from tokenomics_core.compression._prune import prune
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens

__all__ = ["CompressedOutput", "OutputKind", "compress_tool_output", "restore_json"]

OutputKind = Literal["json", "log", "html", "diff", "trace", "text"]
_KINDS = ("json", "log", "html", "diff", "trace", "text")
_LOG_LINE = re.compile(
    r"\[?(?:\d{4}-\d\d-\d\d|\d\d/\d\d/\d\d|\d\d:\d\d:\d\d"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:|\d{8}-\d|\d\d-\d\d \d\d:|\d{10}\b)"
    r"|\S+ ?\[?(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL|TRACE|NOTICE)\b"
)
_TRACE_LINE = re.compile(
    r"Traceback \(most recent call last\):|\s+at [\w.$<>]+\(|\s+File \".*\", line \d+", re.MULTILINE
)
_SHARE_OF_LOG_LINES = 0.6
_MIN_LOG_LINES = 8


@dataclass(frozen=True, slots=True)
class CompressedOutput:
    """What to send in place of a tool's output.

    Attributes:
        text: What to send.
        kind: What the output was read as.
        lossless: Whether `restore_json(text)`, or the text itself, gives back all that the output said.
        tokens_before: Tokens of the output.
        tokens_after: Tokens of `text`; never more.
        missing: What was left out, in words; empty where nothing was.
    """

    text: str
    kind: OutputKind
    lossless: bool
    tokens_before: int
    tokens_after: int
    missing: tuple[str, ...] = ()


def compress_tool_output(
    output: str,
    *,
    max_tokens: int | None = None,
    query: str | None = None,
    kind: OutputKind | None = None,
    form: Literal["auto", "json"] = "auto",
    lossless: bool = False,
    model: str | None = None,
    count: Callable[[str], int] | None = None,
) -> CompressedOutput:
    """Shorten a tool's output by what it is.

    JSON becomes columnar (each name once) or minified, whichever is shorter, and `restore_json` gives it back
    to the digit; JSON that names a key twice loses its blanks only. Logs keep every line of a rare kind and
    the first and last of a frequent one, HTML its text, diffs the changes, traces their outermost and
    innermost frames; other text says repeated lines once. With `max_tokens` more is left out until it fits:
    what `query` asks for and lines that speak of errors stay longest.

    Args:
        output: What the tool said.
        max_tokens: The most tokens to send; None to leave out nothing beyond the above.
        query: What the tool was called for.
        kind: What the output is; None to find out.
        form: `json` keeps JSON as JSON, for readers that parse it.
        lossless: Refuse to lose anything: only JSON is rewritten, and `max_tokens` is refused.
        model: Whose tokens to count; None for the most common vocabulary.
        count: Another way to count tokens.

    Raises:
        ConfigurationError: An argument that cannot be; nothing was compressed.
    """
    _check(output, max_tokens, kind, form, lossless)
    tokens = cache(count or (lambda text: int(count_tokens(text, model))))  # for this call; texts come back
    before = tokens(output)
    source = _understood(output, kind)
    best = _Draft(output, True)
    if source.is_json:
        best = min((best, *_json_drafts(source, form)), key=lambda draft: tokens(draft.text))
    elif not lossless:
        folded = _folded(output, source.kind)
        if tokens(folded.text) < before:
            best = folded
    if max_tokens is not None and tokens(best.text) > max_tokens:
        score = relevance(query)
        shorter = _pruned(source.value, form, max_tokens, tokens, score)
        if shorter is None and form == "json" and source.is_json:
            shorter = _noted(output, max_tokens, tokens)
        best = shorter or _cut(best, max_tokens, tokens, score)
    return CompressedOutput(best.text, source.kind, best.lossless, before, tokens(best.text), best.missing)


def restore_json(text: str) -> str:
    """Give back the JSON of a lossless columnar text, minified.

    JSON comes back as the JSON that it is, with notes in it where parts were left out (`form="json"`).

    Raises:
        ConfigurationError: The text is neither columnar nor JSON, or parts were left out of it.
    """
    try:
        return minified(exact_json(text))
    except NotExactJsonError:
        pass
    try:
        return minified(_read_table(text))
    except (NotExactJsonError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{text[:60]!r} is no complete columnar text ({error}); nothing was restored"
        ) from None


def _read_table(text: str) -> Json:
    if not text.startswith(("[", "{")):
        raise NotExactJsonError("neither a list nor an object")
    return read_columnar(text)


@dataclass(frozen=True, slots=True)
class _Source:
    """An output as it was understood.

    Attributes:
        kind: What it is.
        value: What its JSON says; None where it is no JSON, or none that can be written back exactly.
        short: JSON without blanks where that is so; None elsewhere.
    """

    kind: OutputKind
    value: Json = None
    short: str | None = None

    @property
    def is_json(self) -> bool:
        return self.value is not None or self.short is not None


def _understood(output: str, kind: OutputKind | None) -> _Source:
    """Find out what an output is, and read it once."""
    if kind in (None, "json") and (kind == "json" or output.lstrip()[:1] in ("{", "[")):
        try:
            return _Source("json", exact_json(output))
        except NotExactJsonError:
            short = without_blanks(output)
            if kind == "json" or short is not None:
                return _Source("json", None, short)
    return _Source(kind or _kind_of_text(output))


def _kind_of_text(output: str) -> OutputKind:
    if is_html(output):
        return "html"
    lines = output.split("\n")
    if any(line.startswith("@@ ") for line in lines) and any(
        line.startswith(("--- ", "diff ")) for line in lines
    ):
        return "diff"
    filled = [line for line in lines if line.strip()]
    logged = sum(_LOG_LINE.match(line) is not None for line in filled)
    if len(filled) >= _MIN_LOG_LINES and logged >= _SHARE_OF_LOG_LINES * len(filled):
        return "log"
    return "trace" if _TRACE_LINE.search(output) else "text"


@dataclass(frozen=True, slots=True)
class _Draft:
    text: str
    lossless: bool
    missing: tuple[str, ...] = ()


def _json_drafts(source: _Source, form: str) -> list[_Draft]:
    if source.short is not None:
        return [_Draft(source.short, True)]
    value = source.value
    short = minified(value)
    drafts = [_Draft(short, True)]
    if form == "auto" and isinstance(value, (dict, list)):
        table = columnar(value)
        # Whatever the writer does, what cannot be read back to the letter is not sent.
        if _reads_back(table, short):
            drafts.append(_Draft(table, True))
    return drafts


def _reads_back(table: str, short: str) -> bool:
    try:
        return minified(read_columnar(table)) == short
    except (ValueError, RecursionError):
        return False


def _folded(output: str, kind: OutputKind) -> _Draft:
    if kind == "html":
        return _Draft(html_text(output), False, ("markup, scripts and styles",))
    lines = fold_repeats(output)
    if kind == "log":
        kept = fold_log(lines)
        missing = f"{len(output.splitlines()) - len(kept)} lines of kinds that the log repeats"
    elif kind == "diff":
        kept, missing = fold_diff(output.split("\n")), "unchanged lines around the changes"
    elif kind == "trace":
        kept, missing = fold_trace(lines), "frames in the middle of long traces, repeated lines"
    else:
        kept, missing = lines, "repetitions of equal lines, terminal colours, overwritten progress"
    return _Draft("\n".join(kept), False, (missing,))


def _pruned(
    value: Json, form: str, max_tokens: int, tokens: Callable[[str], int], score: Callable[[str], float]
) -> _Draft | None:
    if not isinstance(value, (dict, list)):
        return None

    def written(shorter: Json) -> str:
        texts = [minified(shorter)] if form == "json" else [minified(shorter), columnar(shorter)]
        return min(texts, key=tokens)

    kept = prune(value, lambda shorter: tokens(written(shorter)) <= max_tokens, score)
    if kept is None:
        return None
    text = written(kept)
    return _Draft(text, False, tuple(re.findall(r"… [^\"\]}]*? left out|\d+ of \d+ rows", text)))


def _noted(output: str, max_tokens: int, tokens: Callable[[str], int]) -> _Draft:
    """Say in JSON that there was more than fits."""
    note = f"… {len(output)} characters of JSON left out"
    text = quoted(note)
    return _Draft(text if tokens(text) <= max_tokens else "null", False, (note,))


def _cut(
    draft: _Draft, max_tokens: int, tokens: Callable[[str], int], score: Callable[[str], float]
) -> _Draft:
    kept, left_out = fit_lines(draft.text.split("\n"), max_tokens, tokens, score)
    return _Draft(kept, False, (*draft.missing, f"{left_out} lines"))


def _check(output: str, max_tokens: int | None, kind: str | None, form: str, lossless: bool) -> None:
    if not isinstance(output, str):
        raise ConfigurationError(f"a tool's output must be text, not {output!r:.80}; nothing was compressed")
    if max_tokens is not None and (
        isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1
    ):
        raise ConfigurationError(f"max_tokens must be 1 or more, or None, not {max_tokens!r:.80}")
    if kind is not None and kind not in _KINDS:
        raise ConfigurationError(f"kind must be one of {', '.join(_KINDS)}, or None, not {kind!r:.80}")
    if form not in ("auto", "json"):
        raise ConfigurationError(f"form must be 'auto' or 'json', not {form!r:.80}")
    if lossless and max_tokens is not None:
        raise ConfigurationError(f"max_tokens={max_tokens} may need a loss, which lossless=True forbids")
