"""What counting tokens costs beside bare tiktoken, and how far the estimate without a vocabulary is off.

Method: speed is the best of seven rounds, both sides in the same run and on the same text; tiktoken's side
is `len(encoding.encode_ordinary(text))`. The error is that of `estimate_tokens` against o200k on sentences of
`tests/core/tokens/sentences.py`, on which nothing was fitted. LangChain's `count_tokens_approximately` is
measured on the same sentences. No randomness.
Run: python benchmarks/token_counting.py  (needs the o200k_base vocabulary at hand)
"""

from __future__ import annotations

import inspect
import json
import sys
import timeit
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.core.tokens.sentences import SENTENCES
from tokenomics_core.tokens import Vocabularies, count_tokens, estimate_tokens

PARAGRAPH = " ".join(SENTENCES["English"])
TEXTS = {
    "a line of 17 tokens": SENTENCES["English"][0],
    "a paragraph of 185 tokens": PARAGRAPH,
    "a document of 37,000 tokens": " ".join([PARAGRAPH] * 200),
}


def seconds(call: Callable[[], Any], rounds: int = 7) -> float:
    """Best time of one call, in seconds."""
    timer = timeit.Timer(call)
    number, _ = timer.autorange()
    return min(timer.repeat(rounds, max(1, number // 4))) / max(1, number // 4)


def print_speed(encoding: Any) -> None:
    heads = f"{'tiktoken':>12s} {'count_tokens':>14s} {'ratio':>7s} {'estimate':>12s} {'ratio':>7s}"
    print(f"\n{'text':28s} {heads}")
    for name, text in TEXTS.items():
        bare = seconds(lambda text=text: len(encoding.encode_ordinary(text)))
        ours = seconds(lambda text=text: count_tokens(text, "gpt-4o"))
        guess = seconds(lambda text=text: estimate_tokens(text))
        print(
            f"{name:28s} {bare * 1e6:9.1f} us {ours * 1e6:11.1f} us {ours / bare:6.2f}x "
            f"{guess * 1e6:9.1f} us {guess / bare:6.2f}x"
        )


def print_errors(encoding: Any) -> None:
    peer = approximate()
    peer_name = f"langchain-core {version('langchain-core')}" if peer else "not installed"
    print("\nError of the estimate without a vocabulary, against o200k (peer: count_tokens_approximately,")
    print(f"{peer_name}):\n")
    heads = f"{'o200k':>6s} {'estimate':>9s} {'error':>8s} {'lowest':>8s} {'highest':>8s} {'peer':>8s}"
    print(f"{'language':14s} {heads}")
    for language, sentences in SENTENCES.items():
        exact = [len(encoding.encode_ordinary(sentence)) for sentence in sentences]
        guess = [estimate_tokens(sentence) for sentence in sentences]
        errors = [g / e - 1 for g, e in zip(guess, exact, strict=True)]
        theirs = f"{sum(map(peer, sentences)) / sum(exact) - 1:+8.1%}" if peer else f"{'-':>8s}"
        print(
            f"{language:14s} {sum(exact):6d} {sum(guess):9d} {sum(guess) / sum(exact) - 1:+8.1%} "
            f"{min(errors):+8.1%} {max(errors):+8.1%} {theirs}"
        )
    for name, text in {
        "Python code": inspect.getsource(json.decoder) + inspect.getsource(inspect),
        "JSON": json.dumps([{"id": n, "name": f"item {n}", "price": n / 4} for n in range(300)]),
    }.items():
        exact_count, guess_count = len(encoding.encode_ordinary(text)), estimate_tokens(text)
        error = guess_count / exact_count - 1
        theirs = f"{peer(text) / exact_count - 1:+8.1%}" if peer else f"{'-':>8s}"
        print(f"{name:14s} {exact_count:6d} {guess_count:9d} {error:+8.1%} {'':17s} {theirs}")


def approximate() -> Callable[[str], int] | None:
    try:
        from langchain_core.messages.utils import count_tokens_approximately
    except ImportError:
        return None
    return lambda text: count_tokens_approximately([("user", text)], extra_tokens_per_message=0) - 1


def main() -> None:
    encoding = Vocabularies().get("o200k_base", download="never")
    if encoding is None:
        raise SystemExit("the vocabulary o200k_base is not at hand; nothing was measured")
    try:
        print(f"tiktoken {version('tiktoken')}, Python {sys.version.split()[0]}")
    except PackageNotFoundError:
        print(f"Python {sys.version.split()[0]}")
    print_speed(encoding)
    print_errors(encoding)


if __name__ == "__main__":
    main()
