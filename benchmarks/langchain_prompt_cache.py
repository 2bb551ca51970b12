"""What an agent's input costs with marks chosen from gaps, beside fixed lifetimes and no marks at all.

python benchmarks/langchain_prompt_cache.py

Conversations of 1 to 10 calls run through the real ChatAnthropic and create_agent against a provider on
loopback that caches as Anthropic documents it; the clock is a number that gaps are added to. `5m` and `1h`
are langchain-anthropic's middleware. Cost is the whole bill, as a multiple of never caching.
"""

from __future__ import annotations

import argparse
import random
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware
from langgraph.checkpoint.memory import InMemorySaver

from examples.provider import LoopbackProvider, ProviderAnswer
from langchain_tokenomics import PromptCachingMiddleware, track_cost
from tests.langchain_adapter.compression.caching_provider import CachingEngine

RULES = " ".join(f"Rule {at}: a traveller of class {at} may change flight {at} once." for at in range(260))
GAPS: dict[str, Callable[[random.Random], float]] = {
    "40 s on average": lambda draw: draw.expovariate(1 / 40),
    "20 s, 1 min, 15 min or 67 min": lambda draw: draw.choice([20, 20, 60, 900, 4000]),
    "20 min on average": lambda draw: draw.expovariate(1 / 1200),
    "11 h on average": lambda draw: draw.expovariate(1 / 40_000),
}
Make = Callable[[Callable[[], float]], list[Any]]
ARMS: dict[str, Make] = {
    "none": lambda _: [],
    "ours": lambda clock: [PromptCachingMiddleware(clock=clock)],
    "5m": lambda _: [AnthropicPromptCachingMiddleware(ttl="5m")],
    "1h": lambda _: [AnthropicPromptCachingMiddleware(ttl="1h")],
}


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def bill(make: Make, gap_s: Callable[[random.Random], float], conversations: int, seed: int) -> float:
    """Return what all conversations cost in USD."""
    clock, draw = Clock(), random.Random(seed)
    engine = CachingEngine(clock, lambda _: ProviderAnswer(text="Because it is so. " * 30))
    with LoopbackProvider(engine) as provider, track_cost() as cost:
        model = ChatAnthropic(model="claude-sonnet-4-5", base_url=provider.url, api_key="unused")
        agent = create_agent(
            model, tools=[], middleware=make(clock), system_prompt=RULES, checkpointer=InMemorySaver()
        )
        for number in range(conversations):
            for turn in range(draw.choice([1, 2, 6, 10])):
                question = f"{number} {turn} " + "why? " * 20
                config: Any = {"configurable": {"thread_id": str(number)}}
                agent.invoke({"messages": [("human", question)]}, config)
                clock.now_s += gap_s(draw)
            clock.now_s += gap_s(draw)
    return float(cost.total_usd)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--conversations", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        f"langchain-anthropic {version('langchain-anthropic')}, seed {arguments.seed}, "
        f"{arguments.conversations} conversations"
    )
    print(f"{'gaps':32}" + "".join(f"{name:>8}" for name in ARMS))
    for name, gap_s in GAPS.items():
        bills = [bill(make, gap_s, arguments.conversations, arguments.seed) for make in ARMS.values()]
        print(f"{name:32}" + "".join(f"{one / bills[0]:8.2f}" for one in bills))


if __name__ == "__main__":
    main()
