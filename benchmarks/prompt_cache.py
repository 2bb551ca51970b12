"""What choosing the caching of prefixes from observed gaps costs beside the best choice in hindsight.

Method: generated traffic with known gaps, in two kinds. `templates`: 40 prefixes of 50 to 800 uses, gaps
exponential with a mean from 10 s to 6 h. `tails`: 2,000 prefixes, half used once, the others with a heavy
tail, 30% of them in bursts. `ours` is PrefixPlanner, which sees the past only. `hindsight` knows all gaps and
takes for each prefix the cheapest of no caching, 5 minutes and 1 hour; the other rows take one of these for
all. Cost is in uncached input tokens with the rules of the model, as a multiple of hindsight's.
Run: python benchmarks/prompt_cache.py [--seeds 5] [--model claude-sonnet-4-5]
"""

from __future__ import annotations

import argparse

import numpy as np

from tokenomics_core.prompts import PrefixPlanner, find_rule
from tokenomics_core.prompts._prefix_plan import prefix_option

Uses = dict[int, list[float]]


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
    names = ["ours", "none", *rule.ttls_s]
    print(
        f"{'traffic':<10} {'seed':>4} {'uses':>6}  "
        + "  ".join(f"{name:>7}" for name in names)
        + "   hit rate"
    )
    for kind, make in (("templates", templates), ("tails", tails)):
        for seed in range(settings.seeds):
            rng = np.random.default_rng(seed)
            uses = make(rng)
            tokens = {prefix: int(rng.integers(rule.minimum_tokens, 20_000)) for prefix in uses}
            planner = PrefixPlanner(rule)
            for at, prefix in sorted((at, prefix) for prefix, times in uses.items() for at in times):
                planner.choose(str(prefix), tokens[prefix], at)
            costs = dict.fromkeys(names, 0.0)
            hindsight = 0.0
            for prefix, times in uses.items():
                gaps = np.diff(times).tolist()
                by_name = {"none": float(len(times))} | {
                    name: float(prefix_option(gaps, rule.ttls_s[name], rule.write[name], rule.read)[0])
                    for name in rule.ttls_s
                }
                hindsight += tokens[prefix] * min(by_name.values())
                for name, cost in by_name.items():
                    costs[name] += tokens[prefix] * cost
            stats = planner.stats()
            costs["ours"] = stats.spent
            shares = "  ".join(f"{costs[name] / hindsight:7.3f}" for name in names)
            print(f"{kind:<10} {seed:>4} {stats.uses:>6}  {shares}   {stats.hit_rate:.0%}")


def templates(rng: np.random.Generator) -> Uses:
    """A few prompts of an application, each used often."""
    found: Uses = {}
    for prefix in range(40):
        mean = np.exp(rng.uniform(np.log(10), np.log(6 * 3600)))
        found[prefix] = np.cumsum(rng.exponential(mean, int(rng.integers(50, 800)))).tolist()
    return found


def tails(rng: np.random.Generator) -> Uses:
    """Many conversations and documents, most of them short-lived."""
    found: Uses = {}
    for prefix in range(2_000):
        count = 1 if rng.random() < 0.5 else min(400, int(1 + rng.pareto(1.0) * 3))
        mean = np.exp(rng.uniform(np.log(10), np.log(6 * 3600)))
        gaps = rng.exponential(mean, count)
        if rng.random() < 0.3:
            gaps = np.where(
                rng.random(count) < 0.8, rng.exponential(30, count), rng.exponential(7_200, count)
            )
        gaps[0] = rng.uniform(0, 86_400)
        found[prefix] = np.cumsum(gaps).tolist()
    return found


if __name__ == "__main__":
    main()
