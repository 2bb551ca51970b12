"""Claim: what tracking adds to a LlamaIndex call is far below 2% of a call that takes 100 ms.

Method: one model that answers at once with a fixed usage, asked with nothing attached, with LlamaIndex's own
`TokenCountingHandler`, inside `track_cost()`, and with this package imported but no block open. Chat and a
stream of 50 pieces. Rounds of many calls in rotation, whose order a seed shuffles, so that drift of the
machine hits all alike; the median over rounds. Printed: time per call, what is added as a share of 100 ms
(bar 2%), and the ratio of whole calls to the token counter's, which reads two numbers and prices nothing.
"""

# ruff: noqa: ARG002 - the signatures are LlamaIndex's

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import random
import statistics
import sys
import time
from collections.abc import Callable

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
)
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import root_dispatcher
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback

from llama_index_tokenomics import track_cost

USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 150,
    "total_tokens": 1350,
    "prompt_tokens_details": {"cached_tokens": 1024},
}
PIECES = 50
BAR_SHARE = 0.02


class Instant(CustomLLM):
    """Answers at once, as a provider that reports usage does."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="gpt-4o")

    @llm_chat_callback()
    def chat(self, messages, **kwargs):
        raw = {"model": "gpt-4o", "usage": USAGE}
        return ChatResponse(message=ChatMessage(role="assistant", content="x"), raw=raw)

    @llm_chat_callback()
    def stream_chat(self, messages, **kwargs):
        def pieces():
            for number in range(PIECES):
                raw = {"model": "gpt-4o", "usage": USAGE if number == PIECES - 1 else None}
                message = ChatMessage(role="assistant", content="x" * (number + 1))
                yield ChatResponse(message=message, delta="x", raw=raw)

        return pieces()

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text="x")

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        raise NotImplementedError


def per_call(calls: int, ask: Callable[[], object]) -> float:
    begin = time.perf_counter()
    for _ in itertools.repeat(None, calls):
        ask()
    return (time.perf_counter() - begin) / calls


def without_listeners(measure: Callable[[], float]) -> float:
    kept = root_dispatcher.event_handlers, root_dispatcher.span_handlers
    root_dispatcher.event_handlers, root_dispatcher.span_handlers = kept[0][:0], kept[1][:1]
    try:
        return measure()
    finally:
        root_dispatcher.event_handlers, root_dispatcher.span_handlers = kept


def compare(title: str, ask: Callable[[Instant], object], rounds: int, calls: int, seed: int) -> bool:
    plain = Instant()

    def counted() -> float:
        counter = TokenCountingHandler(tokenizer=str.split)
        llm = Instant(callback_manager=CallbackManager([counter]))
        return per_call(calls, lambda: ask(llm))

    def tracked() -> float:
        with track_cost():
            return per_call(calls, lambda: ask(plain))

    ways = {
        "nothing attached": lambda: without_listeners(lambda: per_call(calls, lambda: ask(plain))),
        "imported, no block": lambda: per_call(calls, lambda: ask(plain)),
        "TokenCountingHandler": lambda: without_listeners(counted),
        "track_cost()": tracked,
    }
    order = list(ways)
    shuffle = random.Random(seed)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for measure in ways.values():
        measure()
    for _ in range(rounds):
        shuffle.shuffle(order)
        for name in order:
            times[name].append(ways[name]())
    print(f"{title}: {rounds} rounds x {calls} calls, medians")
    held = True
    for name, measured in times.items():
        added = statistics.median(a - b for a, b in zip(measured, times["nothing attached"], strict=True))
        ratio = statistics.median(a / b for a, b in zip(measured, times["TokenCountingHandler"], strict=True))
        print(
            f"  {name:22} {statistics.median(measured) * 1e6:8.1f} us/call  adds {added * 1e6:6.1f} us"
            f"  = {added / 0.1:.3%} of 100 ms   whole call {ratio:.2f}x of TokenCountingHandler's"
        )
        if name == "track_cost()":
            held = added / 0.1 < BAR_SHARE
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    question = [ChatMessage(role="user", content="What does this cost?")]
    print(f"llama-index-core {importlib.metadata.version('llama-index-core')}, seed {args.seed}")
    held = [
        compare("chat", lambda llm: llm.chat(question), args.rounds, args.calls, args.seed),
        compare(
            f"stream of {PIECES} pieces",
            lambda llm: list(llm.stream_chat(question)),
            args.rounds,
            max(1, args.calls // 10),
            args.seed,
        ),
    ]
    print(f"bar: share < {BAR_SHARE:.0%}: {'held' if all(held) else 'MISSED'}")
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
