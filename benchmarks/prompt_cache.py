"""What choosing the caching of prefixes from observed gaps costs beside the best choice in hindsight.

Method: generated traffic with known gaps, in three kinds. `templates`: 40 prefixes of 50 to 800 uses, gaps
exponential with a mean from 10 s to 6 h. `tails`: 2,000 prefixes, half used once, the others with a heavy
tail, 30% of them in bursts. `sources`: 2,000 prefixes from four sources with lives of their own, half of all
being uploads used once, beside chats, documents and system prompts. `ours` is PrefixPlanner, which sees the
past only. `informed` is told of each prefix the distribution
of its gaps and the chance of another use, everything but the future itself, and does at each use what is
cheapest by them, as far as 200 uses ahead: what it pays above 1 is the price of not knowing the future, what
others pay above it that of having to learn. `hindsight` knows all gaps and takes for each prefix the cheapest
of no caching, 5 minutes and 1 hour; the other rows take one of these for all. Cost is in uncached input
tokens with the rules of the model, as a multiple of hindsight's.
Run: python benchmarks/prompt_cache.py [--seeds 5] [--model claude-sonnet-4-5]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tokenomics_core.prompts import CacheRule, PrefixPlanner, find_rule
from tokenomics_core.prompts._prefix_plan import prefix_option

Choose = Callable[[int, int, float], str]
_LONGEST_LIFE = 400


@dataclass
class Prefix:
    """A prefix and all that is true of it.

    Attributes:
        times: When it is used.
        within: The chance that a gap is at most so many seconds.
        more: The chance of another use after so many.
    """

    times: list[float]
    within: Callable[[float], float]
    more: Callable[[int], float]


@dataclass
class Bill:
    """What a way to choose pays, by the rule's own multiples."""

    rule: CacheRule
    spent: float = 0.0
    alive: dict[int, float] = field(default_factory=dict)

    def pay(self, prefix: int, tokens: int, at: float, choice: str) -> None:
        is_alive = at <= self.alive.get(prefix, -1.0)
        self.spent += tokens * float(
            self.rule.read if is_alive else 1 if choice == "none" else self.rule.write[choice]
        )
        if choice != "none":
            self.alive[prefix] = at + self.rule.ttls_s[choice]


def main() -> None:
    """Print a row per kind of traffic and seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--model", default="claude-sonnet-4-5")
    settings = parser.parse_args()
    rule = find_rule(settings.model, None)
    if rule is None:
        parser.error(f"nothing is known of how {settings.model} caches")
    print(__doc__)
    names = ["ours", "informed", "none", *rule.ttls_s]
    print(f"{'traffic':<10} {'seed':>4} {'uses':>6}  " + "  ".join(f"{name:>8}" for name in names))
    for kind, make in (("templates", templates), ("tails", tails), ("sources", sources)):
        for seed in range(settings.seeds):
            rng = np.random.default_rng(seed)
            found = make(rng)
            tokens = [int(rng.integers(rule.minimum_tokens, 20_000)) for _ in found]
            ways: dict[str, Choose] = {
                "ours": ours(rule),
                "informed": informed(rule, found),
            }
            costs = {name: run(rule, found, tokens, choose) for name, choose in ways.items()}
            fixed = [by_name(rule, prefix.times) for prefix in found]
            for name in ("none", *rule.ttls_s):
                costs[name] = sum(size * cost[name] for size, cost in zip(tokens, fixed, strict=True))
            hindsight = sum(size * min(cost.values()) for size, cost in zip(tokens, fixed, strict=True))
            uses = sum(len(prefix.times) for prefix in found)
            shares = "  ".join(f"{costs[name] / hindsight:8.3f}" for name in names)
            print(f"{kind:<10} {seed:>4} {uses:>6}  {shares}", flush=True)


def run(rule: CacheRule, found: list[Prefix], tokens: list[int], choose: Choose) -> float:
    """Cost a way to choose over all uses in their order."""
    bill = Bill(rule)
    for at, prefix in sorted((at, number) for number, one in enumerate(found) for at in one.times):
        bill.pay(prefix, tokens[prefix], at, choose(prefix, tokens[prefix], at))
    return bill.spent


def ours(rule: CacheRule) -> Choose:
    """Ask a planner that sees the past only."""
    planner = PrefixPlanner(rule)
    return lambda prefix, tokens, at: planner.choose(str(prefix), tokens, at)


def informed(rule: CacheRule, found: list[Prefix]) -> Choose:
    """Do what is cheapest by the true chances."""
    used = [0] * len(found)
    alive = [-1.0] * len(found)
    written = ["none"] * len(found)
    plans: list[list[str] | None] = [None] * len(found)

    def choose(prefix: int, _tokens: int, at: float) -> str:
        plan = plans[prefix] = plans[prefix] or best_when_lapsed(rule, found[prefix])
        if at > alive[prefix]:
            written[prefix] = plan[min(used[prefix], len(plan) - 1)]
        used[prefix] += 1
        if (name := written[prefix]) != "none":
            alive[prefix] = at + rule.ttls_s[name]
        return name

    return choose


def best_when_lapsed(rule: CacheRule, prefix: Prefix) -> list[str]:
    """Find the cheapest choice at each use that finds nothing cached, from the last use backwards."""
    read = float(rule.read)
    within = {name: prefix.within(ttl_s) for name, ttl_s in rule.ttls_s.items()}
    alive, lapsed, plan = dict.fromkeys(within, 0.0), 0.0, list[str]()
    for used in range(_LONGEST_LIFE, 0, -1):
        more = prefix.more(used)
        later = {name: more * (hit * alive[name] + (1 - hit) * lapsed) for name, hit in within.items()}
        costs = {name: float(rule.write[name]) + cost for name, cost in later.items()}
        costs["none"] = 1 + more * lapsed
        alive = {name: read + cost for name, cost in later.items()}
        best = min(costs, key=lambda name: costs[name])
        lapsed = costs[best]
        plan.append(best)
    return plan[::-1][: _LONGEST_LIFE // 2]


def by_name(rule: CacheRule, times: list[float]) -> dict[str, float]:
    """Cost each fixed choice for one prefix."""
    gaps = np.diff(times).tolist()
    return {"none": float(len(times))} | {
        name: float(prefix_option(gaps, rule.ttls_s[name], rule.write[name], rule.read)[0])
        for name in rule.ttls_s
    }


def templates(rng: np.random.Generator) -> list[Prefix]:
    """A few prompts of an application, each used often."""
    found: list[Prefix] = []
    for _ in range(40):
        mean = mean_gap(rng, 10, 6 * 3600)
        times = np.cumsum(rng.exponential(mean, int(rng.integers(50, 800)))).tolist()
        found.append(Prefix(times, exponential(mean), uniform_life(50, 800)))
    return found


def tails(rng: np.random.Generator) -> list[Prefix]:
    """Many conversations and documents, most of them short-lived."""
    found: list[Prefix] = []
    for _ in range(2_000):
        count = 1 if rng.random() < 0.5 else min(400, int(1 + rng.pareto(1.0) * 3))
        mean = mean_gap(rng, 10, 6 * 3600)
        gaps, within = rng.exponential(mean, count), exponential(mean)
        if rng.random() < 0.3:
            is_brief = rng.random(count) < 0.8
            gaps = np.where(is_brief, rng.exponential(30, count), rng.exponential(7_200, count))
            within = bursts
        gaps[0] = rng.uniform(0, 86_400)
        found.append(Prefix(np.cumsum(gaps).tolist(), within, pareto_life))
    return found


def sources(rng: np.random.Generator) -> list[Prefix]:
    """Prefixes from sources with lives of their own."""
    found: list[Prefix] = []

    def add(count: int, mean: float, more: Callable[[int], float]) -> None:
        gaps = rng.exponential(mean, count)
        gaps[0] = rng.uniform(0, 86_400)
        found.append(Prefix(np.cumsum(gaps).tolist(), exponential(mean), more))

    for _ in range(40):  # system prompts
        add(int(rng.integers(50, 400)), mean_gap(rng, 10, 6 * 3600), uniform_life(50, 400))
    for _ in range(560):  # chats
        count = min(400, int(2 + rng.pareto(1.0) * 3))
        add(count, mean_gap(rng, 10, 600), lambda n: 1.0 if n == 1 else (n + 1) / (n + 2))
    for _ in range(400):  # documents
        add(int(rng.integers(2, 10)), mean_gap(rng, 60, 3600), uniform_life(2, 10))
    for _ in range(1_000):  # uploads
        add(1, 1.0, lambda _: 0.0)
    return found


def mean_gap(rng: np.random.Generator, low_s: float, high_s: float) -> float:
    """Draw a mean gap, as likely between 1 and 2 minutes as between 1 and 2 hours."""
    return float(np.exp(rng.uniform(np.log(low_s), np.log(high_s))))


def exponential(mean: float) -> Callable[[float], float]:
    """Return the distribution of gaps that come at random."""
    return lambda seconds: 1 - math.exp(-seconds / mean)


def bursts(seconds: float) -> float:
    """Return the chance of a gap in bursts: 80% around 30 s, the others around 2 h."""
    return 0.8 * exponential(30)(seconds) + 0.2 * exponential(7_200)(seconds)


def uniform_life(low: int, high: int) -> Callable[[int], float]:
    """Return the chance of another use where the number of uses is drawn evenly from `low` to `high` - 1."""
    return lambda used: 1.0 if used < low else (high - 1 - used) / (high - used) if used < high else 0.0


def pareto_life(used: int) -> float:
    """Return it for a half that is used once beside a heavy tail."""
    return 0.375 if used == 1 else (used + 2) / (used + 3) if used < 400 else 0.0


if __name__ == "__main__":
    main()
