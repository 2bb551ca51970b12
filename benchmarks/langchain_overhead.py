"""Claim: tracking a LangChain call costs little more than counting its tokens does.

Method: one model that answers at once with a fixed usage, invoked with no handler, with LangChain's own
`UsageMetadataCallbackHandler`, with `CostCallbackHandler` and inside `track_cost()`. Rounds of many calls
in rotation, so that drift of the machine hits all alike; the best round of each counts: a shared machine
only ever adds time. Printed: processor time per invoke, the ratio of whole invokes (bar 1.2x) and what
tracking adds as a share of a call that takes 100 ms (bar 2%).
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable

from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from langchain_tokenomics import CostCallbackHandler, track_cost

USAGE = {
    "input_tokens": 1200,
    "output_tokens": 150,
    "total_tokens": 1350,
    "input_token_details": {"cache_read": 1024},
    "output_token_details": {"reasoning": 0},
}
BAR_INVOKE, BAR_SHARE = 1.2, 0.02


def answers():
    while True:
        yield AIMessage("x", usage_metadata=USAGE, response_metadata={"model_name": "gpt-4o"})


def per_call(calls: int, invoke: Callable[[], object]) -> float:
    begin = time.process_time()
    for _ in itertools.repeat(None, calls):
        invoke()
    return (time.process_time() - begin) / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=300)
    args = parser.parse_args()
    model = GenericFakeChatModel(messages=answers())
    prompt = "What does this cost?"

    def with_handler(make: Callable[[], object]) -> float:
        config = {"callbacks": [make()]}
        return per_call(args.calls, lambda: model.invoke(prompt, config=config))

    def in_block() -> float:
        with track_cost():
            return per_call(args.calls, lambda: model.invoke(prompt))

    ways = {
        "no handler": lambda: per_call(args.calls, lambda: model.invoke(prompt)),
        "UsageMetadataCallbackHandler": lambda: with_handler(UsageMetadataCallbackHandler),
        "CostCallbackHandler": lambda: with_handler(CostCallbackHandler),
        "track_cost()": in_block,
    }
    for measure in ways.values():
        measure()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, measure in ways.items():
            times[name].append(measure())
    print(f"{args.rounds} rounds x {args.calls} invokes of a fake chat model; no randomness; best rounds")
    best = {name: min(measured) for name, measured in times.items()}
    plain, theirs = best["no handler"], best["UsageMetadataCallbackHandler"]
    held = True
    for name, seconds in best.items():
        added, ratio = seconds - plain, seconds / theirs
        print(
            f"  {name:30} {seconds * 1e6:7.1f} us/invoke, adds {added * 1e6:5.1f} us "
            f"= {added / 0.1:.3%} of 100 ms; invoke {ratio:.2f}x, added {added / (theirs - plain):.2f}x "
            "of UsageMetadataCallbackHandler"
        )
        if name in {"CostCallbackHandler", "track_cost()"}:
            held &= ratio <= BAR_INVOKE and added / 0.1 < BAR_SHARE
    print(f"bars: invoke <= {BAR_INVOKE}x, share < {BAR_SHARE:.0%}: {'held' if held else 'MISSED'}")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
