"""Make what stays the same in prompts stand first and read the same, byte for byte."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tokenomics_core.errors import ConfigurationError

__all__ = ["BlockOrder", "block_key", "stable_tools"]

T = TypeVar("T")


def stable_tools(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sort tool schemas by name and their keys by spelling, so that equal tools are equal bytes.

    The order of `required`, `enum` and other lists says something and stays; so do names and descriptions.

    Raises:
        ConfigurationError: A schema is no mapping or has no name.
    """
    found = [(_name(tool), _sorted_keys(tool)) for tool in tools]
    return [schema for _, schema in sorted(found, key=lambda pair: pair[0])]


def block_key(text: str) -> str:
    """Digest a block of context by its words: case, spacing and marks at its ends do not count."""
    words = " ".join(text.lower().split()).strip(" .,;:!?\"'()[]")
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


class BlockOrder:
    """Gives blocks of context an order that requests share: those seen most come first.

    A retriever orders its hits anew for each question, so no two prompts share a prefix beyond the
    instructions. Where the order does not matter, frequent blocks in a fixed order make it longer.

    Args:
        most_blocks: Blocks that are counted; beyond, the rarest are dropped.
    """

    def __init__(self, *, most_blocks: int = 100_000) -> None:
        if most_blocks < 1:
            raise ConfigurationError(f"most_blocks must be 1 or more, not {most_blocks}")
        self._most = most_blocks
        self._seen: Counter[str] = Counter()
        self._rank: dict[str, int] = {}
        self._lock = threading.Lock()

    def arrange(self, blocks: Sequence[T], *, text: Sequence[str] | None = None) -> list[T]:
        """Return the blocks in the shared order, and count them.

        Args:
            blocks: What is arranged; texts, or anything else with `text` given.
            text: The text of each block.
        """
        texts = [str(block) for block in blocks] if text is None else list(text)
        if len(texts) != len(blocks):
            raise ConfigurationError(
                f"text has {len(texts)} entries for {len(blocks)} blocks; nothing was arranged"
            )
        keys = [block_key(each) for each in texts]
        with self._lock:
            # A rank once given stays: an order that followed every count would be a new prefix each time.
            order = sorted(range(len(blocks)), key=lambda at: (self._rank.get(keys[at], 1 << 60), at))
            self._seen.update(set(keys))
            for key in sorted(set(keys) - self._rank.keys(), key=keys.index):
                if self._seen[key] > 1:
                    self._rank[key] = len(self._rank)
            if len(self._seen) > self._most:
                self._seen = Counter(dict(self._seen.most_common(self._most // 2)))
                self._rank = {key: rank for key, rank in self._rank.items() if key in self._seen}
        return [blocks[at] for at in order]


def _name(tool: Mapping[str, Any]) -> str:
    if not isinstance(tool, Mapping):
        raise ConfigurationError(f"a tool's schema must be a mapping, not {tool!r:.80}; nothing was sorted")
    inner = tool.get("function", tool)
    name = inner.get("name") if isinstance(inner, Mapping) else None
    if not isinstance(name, str):
        raise ConfigurationError(
            f"a tool's schema needs a name; {json.dumps(tool, default=str)[:80]} has none"
        )
    return name


def _sorted_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted_keys(value[key]) for key in sorted(value)}
    return [_sorted_keys(item) for item in value] if isinstance(value, list) else value
