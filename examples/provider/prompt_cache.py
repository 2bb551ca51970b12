"""A prompt cache as OpenAI documents it: the longest prefix seen lately, in steps of 128 tokens."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

__all__ = ["PromptCache"]


class PromptCache:
    """Tells how much of a prompt was seen before, and remembers the prompt.

    Prefixes are compared line by line, so the boundary between old and new falls on a line.

    Args:
        count_tokens: Counts a text's tokens.
        clock: Gives seconds that never run backwards.
        lifetime_s: How long a prefix lives after its last use.
        shortest_tokens: Shorter prefixes are never reported.
        step_tokens: Reported numbers are multiples of this.
        most_prefixes: How many prefixes are kept; the one unused for longest goes first.

    Source:
        https://platform.openai.com/docs/guides/prompt-caching
    """

    def __init__(
        self,
        count_tokens: Callable[[str], int],
        clock: Callable[[], float],
        *,
        lifetime_s: float = 300.0,
        shortest_tokens: int = 1024,
        step_tokens: int = 128,
        most_prefixes: int = 100_000,
    ) -> None:
        self._count_tokens, self._clock = count_tokens, clock
        self._lifetime_s = lifetime_s
        self._shortest_tokens, self._step_tokens = shortest_tokens, step_tokens
        self._most_prefixes = most_prefixes
        self._used_at: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, model: str, prompt: str) -> int:
        """Return how many tokens of a prompt come from the cache, and put the whole prompt in it."""
        now = self._clock()
        digest = blake2b(model.encode(), digest_size=16)
        seen_tokens = tokens = 0
        unbroken = True
        with self._lock:
            for line in prompt.splitlines(keepends=True):
                digest.update(line.encode())
                tokens += self._count_tokens(line)
                prefix = digest.digest()
                unbroken = unbroken and self._is_alive(prefix, now)
                if unbroken:
                    seen_tokens = tokens
                self._used_at[prefix] = now
                self._used_at.move_to_end(prefix)
            while len(self._used_at) > self._most_prefixes:
                self._used_at.popitem(last=False)
        whole_steps = seen_tokens - seen_tokens % self._step_tokens
        return whole_steps if whole_steps >= self._shortest_tokens else 0

    def _is_alive(self, prefix: bytes, now: float) -> bool:
        used_at = self._used_at.get(prefix)
        return used_at is not None and now - used_at <= self._lifetime_s
