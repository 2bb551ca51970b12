"""What an agent's input costs under a provider's prompt caching, its history left alone or edited.

Method: trajectories of agents, each call sending all that came before. `service`: generated with the seed
below, results as agents of shops and airlines get them (see _tool_payloads.py), 4 to 40 calls after a system
prompt with tools of 3,200 tokens. `software`: those of SWE-agent from --data, commands and what they printed,
after 1,500 tokens. Every call reads what it has in common with the one before from the provider's cache,
message by message, and writes the rest; caches never lapse and no minimum length applies, which favours
leaving history alone. Prices are multiples of that of input. Output is the same for all and left out.

Policies: `clear each turn` replaces all but the last three results by a placeholder in every call, once 3,000
tokens are passed (as LangChain's ClearToolUsesEdit does, its trigger scaled to these lengths); `without loss
on arrival` rewrites each result once, when it comes; `both` does both in every call; `editor` is
HistoryEditor: without loss on arrival, and clearing in batches where that pays over as many calls as there
have been, with what was saved so far as its stake.

Shares are of the cost of leaving all alone, over all trajectories; `worst` is the trajectory that does worst.

Run: python benchmarks/compression_cached_cost.py [--data FOLDER] [--trajectories 60]
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path

from _tool_payloads import PAYLOADS

from tokenomics_core.compression import HistoryEditor, PrefixPrices, compress_tool_output
from tokenomics_core.tokens import count_tokens

SEED = 20261121
KEEP, TRIGGER_TOKENS = 3, 3_000
PLACEHOLDER = "[cleared]"
PRICES = {
    "write 1.25, read 0.1": PrefixPrices(Decimal("0.1"), Decimal("1.25")),
    "write 1, read 0.1": PrefixPrices(Decimal("0.1"), Decimal(1)),
    "write 1, read 0.5": PrefixPrices(Decimal("0.5"), Decimal(1)),
    "no caching": PrefixPrices(Decimal(1), Decimal(1)),
}
Message = dict[str, object]
Policy = Callable[[list[Message]], list[Message]]


@cache
def tokens(text: str) -> int:
    return int(count_tokens(text))


@cache
def without_loss(text: str) -> str:
    return compress_tool_output(text, lossless=True).text


def size(message: Message) -> int:
    return 4 + tokens(str(message["content"] or "") + json.dumps(message.get("tool_calls", "")))


def call_of(number: int, name: str, arguments: object) -> Message:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": f"call_{number}", "function": function}],
    }


def service(count: int) -> list[list[list[Message]]]:
    draw, found = random.Random(SEED), []
    for _ in range(count):
        messages: list[Message] = [{"role": "system", "content": "policy " * 3_200}]
        requests = []
        for number in range(draw.randint(4, 40)):
            if number % 4 == 0:
                said = f"Please look into number {draw.randint(1, 999)} for me, and change what I asked for."
                messages = [*messages, {"role": "user", "content": said}]
            requests.append(messages)
            name = draw.choice(list(PAYLOADS))
            result = json.dumps(PAYLOADS[name](draw))
            messages = [
                *messages,
                call_of(number, name.replace(" ", "_"), {"id": draw.randint(10**6, 10**7)}),
                {"role": "tool", "tool_call_id": f"call_{number}", "content": result},
            ]
        requests.append(messages)
        found.append(requests)
    return found


def software(data: Path) -> list[list[list[Message]]]:
    found = []
    with gzip.open(data / "compression" / "sweagent_traj.jsonl.gz", "rt", encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            messages: list[Message] = [{"role": "system", "content": "manual " * 1_500}]
            requests = [messages]
            for number, step in enumerate(row["steps"]):
                call = call_of(number, "run", {"command": step["action"]})
                call["content"] = step.get("thought") or ""
                result = {
                    "role": "tool",
                    "tool_call_id": f"call_{number}",
                    "content": step["observation"] or "",
                }
                messages = [*messages, call, result]
                requests.append(messages)
            found.append(requests)
    return found


def cleared(messages: list[Message]) -> list[Message]:
    if sum(map(size, messages)) <= TRIGGER_TOKENS:
        return messages
    results = [at for at, message in enumerate(messages) if message["role"] == "tool"]
    old = set(results[:-KEEP])
    return [{**m, "content": PLACEHOLDER} if at in old else m for at, m in enumerate(messages)]


def arrived(messages: list[Message]) -> list[Message]:
    return [{**m, "content": without_loss(str(m["content"]))} if m["role"] == "tool" else m for m in messages]


def editor(prices: PrefixPrices, *, clear: bool) -> Policy:
    return HistoryEditor(
        prices=prices,
        clear=clear,
        shorten=without_loss,
        placeholder=PLACEHOLDER,
        count=lambda messages: sum(map(size, messages)),
    ).edit


def cost(requests: Sequence[list[Message]], policy: Policy, prices: PrefixPrices) -> tuple[Decimal, int]:
    """Return the cost of a trajectory's input in millionths, and the tokens sent."""
    total, sent_tokens, last = Decimal(0), 0, []
    for request in requests:
        sent = policy(request)
        same = 0
        while same < min(len(sent), len(last)) and sent[same] == last[same]:
            same += 1
        sizes = list(map(size, sent))
        total += sum(sizes[:same]) * prices.read_usd_per_mtok + sum(sizes[same:]) * prices.write_usd_per_mtok
        sent_tokens += sum(sizes)
        last = sent
    return total, sent_tokens


def measure(name: str, trajectories: list[list[list[Message]]]) -> bool:
    calls = [len(requests) for requests in trajectories]
    print(f"{name}: {len(trajectories)} trajectories of {min(calls)} to {max(calls)} calls")
    never_above = True
    for title, prices in PRICES.items():
        makers: dict[str, Callable[[], Policy]] = {
            "clear each turn": lambda: cleared,
            "without loss on arrival": lambda: arrived,
            "both": lambda: lambda messages: cleared(arrived(messages)),
            "editor": lambda prices=prices: editor(prices, clear=True),
        }
        alone = [cost(requests, lambda messages: messages, prices) for requests in trajectories]
        print(f"  {title}")
        for policy, make in makers.items():
            done = [cost(requests, make(), prices) for requests in trajectories]
            whole = sum(usd for usd, _ in done) / sum(usd for usd, _ in alone)
            sent = sum(n for _, n in done) / sum(n for _, n in alone)
            worst = max(usd / base for (usd, _), (base, _) in zip(done, alone, strict=True))
            print(f"    {policy:<26} cost {whole:6.1%}  worst {worst:6.1%}  tokens {sent:6.1%}", flush=True)
            if policy == "editor":
                never_above &= worst <= 1
    return never_above


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--trajectories", type=int, default=60)
    arguments = parser.parse_args()
    print(f"seed {SEED}; tokens: {count_tokens('a text').method}")
    never_above = measure("service", service(arguments.trajectories))
    if arguments.data is None:
        print("software: skipped, no --data was given")
    else:
        never_above &= measure("software", software(arguments.data))
    print(f"editor never above history left alone: {'holds' if never_above else 'DOES NOT HOLD'}")


if __name__ == "__main__":
    main()
