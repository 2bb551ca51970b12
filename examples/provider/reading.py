"""An engine that answers from the context it is given. It is a stand-in, and no language model.

It picks sentences of the prompt that share words with the question and says them back. It knows
nothing else: no fact comes from it that does not stand in the request, it reasons about nothing,
and questions in other words than the context's own defeat it. What it is good for: prompts of real
size, counted tokens, and answers that get worse when a context is cut, a question is hard or a
model is weak, for reasons that can be looked up here.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from examples.provider._shapes import as_json, as_tool_call, wanted_tool
from examples.provider.counting import count_text_tokens
from examples.provider.exchange import (
    ProviderAnswer,
    ProviderError,
    ProviderRequest,
    ProviderUsage,
    TokenLogprob,
)
from examples.provider.passages import Passage, Prompt, read_prompt, terms_of
from examples.provider.prompt_cache import PromptCache

__all__ = ["DEFAULT_READERS", "STRONG_READER", "WEAK_READER", "Reader", "ReadingEngine"]

_NO_ANSWER = "The context does not answer this."
_LEAST_MATCH = 0.12
_TOKENS_PER_MESSAGE = 3
"""What a message costs besides its text.

Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How well a model reads.

    Attributes:
        depth_tokens: It reads so much of the context, from its beginning, and skips the rest.
        sentences: It combines at most so many sentences into an answer.
        window_tokens: Longer prompts are refused.
    """

    depth_tokens: int
    sentences: int
    window_tokens: int


WEAK_READER = Reader(depth_tokens=300, sentences=1, window_tokens=16_000)
"""Reads the first documents only and says one sentence."""

STRONG_READER = Reader(depth_tokens=100_000, sentences=4, window_tokens=128_000)
"""Reads everything and combines up to four sentences, of several documents where it has to."""

DEFAULT_READERS = {"gpt-4.1-nano": WEAK_READER, "gpt-4.1-mini": STRONG_READER}
"""The names are borrowed, so that the answers have a price; nothing else here is like those models."""


class ReadingEngine:
    """Answers for several models that differ in how they read; the same request gets the same answer.

    Reads from the prompt cache are the one thing in which two equal requests differ.

    Args:
        readers: How well each model reads, by name.
        clock: Gives seconds that never run backwards, for the prompt cache.
        count_tokens: Counts a text's tokens.
    """

    def __init__(
        self,
        readers: Mapping[str, Reader] = DEFAULT_READERS,
        *,
        clock: Callable[[], float] = time.monotonic,
        count_tokens: Callable[[str], int] = count_text_tokens,
    ) -> None:
        self._readers = dict(readers)
        self._count_tokens = lru_cache(maxsize=20_000)(count_tokens)
        self._cache = PromptCache(self._count_tokens, clock)

    def answer(self, request: ProviderRequest) -> ProviderAnswer:
        """Answer from the request.

        Raises:
            ProviderError: The model is unknown, or the prompt is longer than its window.
        """
        reader = self._readers.get(request.model)
        if reader is None:
            raise ProviderError(404, f"The model {request.model!r} does not exist.", code="model_not_found")
        rendered = [_rendered(request, at) for at in range(len(request.turns))]
        input_tokens = sum(map(self._count_tokens, rendered)) + _TOKENS_PER_MESSAGE * (len(rendered) + 1)
        if input_tokens > reader.window_tokens:
            message = (
                f"The maximum context length is {reader.window_tokens} tokens; yours has {input_tokens}."
            )
            raise ProviderError(400, message, code="context_length_exceeded")
        cached_tokens = min(self._cache.read(request.model, "\n".join(rendered)), input_tokens)
        return self._say(request, reader, input_tokens, cached_tokens)

    def _say(
        self, request: ProviderRequest, reader: Reader, input_tokens: int, cached_tokens: int
    ) -> ProviderAnswer:
        prompt = read_prompt(request.turns)
        if (tool := wanted_tool(request, prompt)) is not None:
            call = as_tool_call(tool, prompt.question)
            return ProviderAnswer(
                tool_calls=(call,),
                usage=ProviderUsage(
                    input_tokens=input_tokens,
                    cache_read_tokens=cached_tokens,
                    output_tokens=self._count_tokens(f"{call.name} {call.arguments_json}"),
                ),
            )
        said = self._sentences(prompt, reader)
        text = " ".join(sentence for sentence, _ in said)
        if request.json_mode:
            text, said = as_json(text, request.json_schema), []
        short, cut = self._cut(text, request)
        return ProviderAnswer(
            text=short,
            finish_reason="length" if cut else "stop",
            logprobs=_logprobs(said, short) if said else (),
            usage=ProviderUsage(
                input_tokens=input_tokens,
                cache_read_tokens=cached_tokens,
                output_tokens=self._count_tokens(short) * request.n,
            ),
        )

    def _sentences(self, prompt: Prompt, reader: Reader) -> list[tuple[str, float]]:
        """Return the sentences of the answer, each with how well it matches, in [0, 1]."""
        if prompt.rewrite:
            return [(_standing_alone(prompt), 1.0)]
        chosen = _choose(prompt, self._within_reach(prompt.passages, reader), reader.sentences)
        return chosen or [(_NO_ANSWER, _LEAST_MATCH)]

    def _within_reach(self, passages: Sequence[Passage], reader: Reader) -> list[Passage]:
        """Return what lies within a reader's depth; a passage may be cut between two sentences."""
        left = reader.depth_tokens
        reached = []
        for passage in passages:
            kept = []
            for sentence in passage.sentences:
                left -= self._count_tokens(sentence)
                if left < 0:
                    break
                kept.append(sentence)
            if kept:
                reached.append(Passage(passage.heading, tuple(kept)))
            if left < 0:
                break
        return reached

    def _cut(self, text: str, request: ProviderRequest) -> tuple[str, bool]:
        """End a text at the first stop text or at the longest answer wanted; say if the latter."""
        ends = [text.find(stop) for stop in request.stop if stop in text]
        text = text[: min(ends)] if ends else text
        limit = request.max_output_tokens
        if limit is None or self._count_tokens(text) <= limit:
            return text, False
        words = text.split(" ")
        while words and self._count_tokens(" ".join(words)) > limit:
            words.pop()
        return " ".join(words), True


def _rendered(request: ProviderRequest, at: int) -> str:
    """Write one message as text, its calls and, with the first, the tools offered."""
    turn = request.turns[at]
    parts = [f"{tool.name} {tool.description} {tool.parameters}" for tool in request.tools if at == 0]
    parts += [f"{turn.role}: {turn.text}"]
    parts += [f"{call.name} {call.arguments_json}" for call in turn.tool_calls]
    return "\n".join(parts)


def _choose(prompt: Prompt, passages: Sequence[Passage], most: int) -> list[tuple[str, float]]:
    """Pick the sentences that cover the question best, and return them in the order of the text.

    A word of the question weighs the more, the fewer sentences have it, and a word of an earlier
    question a third of that. A heading lends its words to its sentences, and more so where the question
    names it in full. Each pick discounts the words that it covers, so that the next one looks for
    what is still missing.
    """
    pool = [
        _Candidate(sentence, _heading_terms(passage), frozenset(terms_of(sentence)), number == 0, named)
        for passage in passages
        for named in [_is_named(passage, prompt)]
        for number, sentence in enumerate(passage.sentences)
    ]
    asked = _weights(prompt, [one.heading | one.own for one in pool])
    total = sum(asked.values()) or 1.0
    still, chosen = dict(asked), []
    for _ in range(min(most, len(pool))):
        left = [at for at in range(len(pool)) if at not in chosen]
        best = max(left, key=lambda at: (pool[at].gain(still), -at))
        if pool[best].gain(still) / total < _LEAST_MATCH:
            break
        chosen.append(best)
        for term in pool[best].own & still.keys():
            still[term] *= 0.4
        for term in (pool[best].heading - pool[best].own) & still.keys():
            still[term] *= 0.7
    return [(pool[at].sentence, pool[at].match(asked) / total) for at in sorted(chosen)]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A sentence that may go into the answer.

    Attributes:
        sentence: As it stands in the context.
        heading: Terms of its passage's heading.
        own: Its own terms.
        is_first: Whether it opens its passage.
        is_named: Whether the question names its passage in full.
    """

    sentence: str
    heading: frozenset[str]
    own: frozenset[str]
    is_first: bool
    is_named: bool

    def gain(self, weights: Mapping[str, float]) -> float:
        matched = sum(weights[term] for term in self.own if term in weights)
        lent = sum(weights[term] for term in self.heading - self.own if term in weights)
        brief = 1 / (1 + max(0, len(self.sentence) - 200) / 400)
        return (matched + (1.0 if self.is_named else 0.6) * lent) * brief * (1.05 if self.is_first else 1.0)

    def match(self, weights: Mapping[str, float]) -> float:
        return sum(weight for term, weight in weights.items() if term in self.own or term in self.heading)


def _heading_terms(passage: Passage) -> frozenset[str]:
    """Return the terms of a heading up to its first bracket, which opens a signature."""
    return frozenset(terms_of(passage.heading.split("(")[0]))


def _is_named(passage: Passage, prompt: Prompt) -> bool:
    name = passage.heading.split("(")[0].strip().lower()
    return (
        bool(name) and re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", prompt.question.lower()) is not None
    )


def _weights(prompt: Prompt, sentences: Sequence[frozenset[str]]) -> dict[str, float]:
    def rarity(term: str) -> float:
        return math.log(1 + len(sentences) / (1 + sum(term in sentence for sentence in sentences)))

    weights = {term: rarity(term) / 3 for text in prompt.earlier for term in terms_of(text)}
    weights.update({term: rarity(term) for term in terms_of(prompt.question)})
    return weights


def _standing_alone(prompt: Prompt) -> str:
    """Append the last earlier question that names something, as `heapq.merge` does."""
    named = [text for text in prompt.earlier if "." in text.rstrip(".?!") or "_" in text]
    about = (named or list(prompt.earlier))[-1:]
    return f"{prompt.question} ({about[0]})" if about else prompt.question


def _logprobs(said: Sequence[tuple[str, float]], text: str) -> tuple[TokenLogprob, ...]:
    """Give each word the match of its sentence as its probability, between 0.05 and 0.99."""
    out: list[TokenLogprob] = []
    left = len(text)
    for number, (sentence, match) in enumerate(said):
        logprob = math.log(min(0.99, max(0.05, match)))
        for at, word in enumerate(sentence.split(" ")):
            piece = word if at == 0 and number == 0 else f" {word}"
            if left <= 0:
                return tuple(out)
            out.append(TokenLogprob(token=piece[:left], logprob=logprob))
            left -= len(piece)
    return tuple(out)
