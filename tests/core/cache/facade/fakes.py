"""A store, an embedder and a policy that do what they are told, and nothing behind anybody's back."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np

from tokenomics_core.cache import CacheEntry, Decision, Neighbour, PolicyReport, Selector, StoreSize
from tokenomics_core.cache._text import normalised
from tokenomics_core.errors import StoreError


class Clock:
    """A clock that stands until it is put forward."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


class WordEmbedder:
    """Vectors of words: questions that share words are near."""

    identity = "words/1"
    dimension = 64

    def __init__(self, max_chars: int = 10_000) -> None:
        self.texts: list[str] = []
        self.is_down = False
        self._max_chars = max_chars

    def fits(self, text: str) -> bool:
        return len(text) <= self._max_chars

    def embed(self, texts):
        if self.is_down:
            raise ConnectionError("no embedding today")
        self.texts += texts
        return np.stack([self._vector(text) for text in texts])

    async def aembed(self, texts):
        return self.embed(texts)

    def _vector(self, text: str):
        vector = np.full(self.dimension, 1e-3, dtype=np.float32)
        for word in normalised(text).split():
            seed = int.from_bytes(word.encode(), "little") % (2**32)
            vector += np.random.default_rng(seed).standard_normal(self.dimension).astype(np.float32)
        return vector / np.linalg.norm(vector)


class NearPolicy:
    """Serves what is at least so near; remembers what it is told."""

    name = "near/1"

    def __init__(self, threshold: float = 0.9) -> None:
        self.threshold = threshold
        self.learned: list[tuple[dict[str, bool], bool]] = []
        self.decided: list[tuple[str, str]] = []
        self.exact = 0
        self.restored: list[bytes] = []

    def decide(self, namespace, question, neighbours):
        self.decided.append((namespace, question))
        if not neighbours:
            return Decision(serve=False, reason="nothing_near", threshold=self.threshold)
        first = neighbours[0]
        serve = first.similarity >= self.threshold
        return Decision(
            serve=serve,
            reason="verified" if serve else "unsure",
            neighbour=first,
            probability=max(0.0, min(1.0, first.similarity)),
            threshold=self.threshold,
            compare=tuple(dict.fromkeys(item.group for item in neighbours))[:3],
        )

    def count_exact(self, namespace):
        self.exact += 1

    def learn(self, namespace, decision, same, *, given=False):
        self.learned.append((dict(same), given))

    def report(self, namespace):
        return PolicyReport(requests=len(self.decided) + self.exact, labels=len(self.learned))

    def namespaces(self):
        return ["default"]

    def state(self, namespace):
        return f'{{"labels": {len(self.learned)}}}'.encode()

    def restore(self, namespace, state):
        self.restored.append(state)
        return True


class DictStore:
    """The store's contract in its plainest form: a dictionary and a loop. A reference, not a product."""

    def __init__(self) -> None:
        self.by_id: dict[str, tuple[CacheEntry, np.ndarray | None]] = {}
        self.used: dict[str, float] = {}
        self.claims: dict[str, tuple[str, float]] = {}
        self.states: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.is_down = False
        self.is_closed = False
        self._lock = threading.RLock()

    def _enter(self, name: str) -> None:
        self.calls.append(name)
        if self.is_down:
            raise StoreError("dict", f"{name} failed on purpose")

    def _live(self, now):
        for entry, vector in list(self.by_id.values()):
            end = entry.stale_until if entry.stale_until is not None else entry.expires_at
            if end is None or now < end:
                yield entry, vector

    def bind(self, embedder, dimension):
        self._enter("bind")

    def find(self, partition, key, now):
        with self._lock:
            self._enter("find")
            found = (e for e, _ in self._live(now) if (e.partition, e.key) == (partition, key))
            return next(found, None)

    def search(self, partition, vector, k, now):
        with self._lock:
            self._enter("search")
            near = [
                Neighbour(e.id, float(v @ vector), e.question, e.group)
                for e, v in self._live(now)
                if v is not None and e.partition == partition
            ]
            return sorted(near, key=lambda item: -item.similarity)[:k]

    def read(self, entry_id, now):
        with self._lock:
            self._enter("read")
            return next((e for e, _ in self._live(now) if e.id == entry_id), None)

    def put(self, entry, vector):
        with self._lock:
            self._enter("put")
            for old, _ in list(self.by_id.values()):
                if (old.partition, old.key) == (entry.partition, entry.key):
                    del self.by_id[old.id]
            self.by_id[entry.id] = (entry, vector)
            self.used[entry.id] = entry.created_at

    def regroup(self, entry_id, group):
        with self._lock:
            self._enter("regroup")
            entry, vector = self.by_id[entry_id]
            self.by_id[entry_id] = (replace(entry, group=group), vector)

    def invalidate(self, selector: Selector):
        with self._lock:
            self._enter("invalidate")
            gone = [e.id for e, _ in self.by_id.values() if _meets(selector, e)]
            for entry_id in gone:
                del self.by_id[entry_id]
            return len(gone)

    def touch(self, uses, now):
        with self._lock:
            self._enter("touch")
            for entry_id in uses:
                self.used[entry_id] = now

    def trim(self, max_entries, max_bytes, by, now):
        with self._lock:
            self._enter("trim")
            before = len(self.by_id)
            self.by_id = {e.id: (e, v) for e, v in self._live(now)}
            order = sorted(self.by_id, key=lambda item: self.used[item])
            while order and (
                (max_entries is not None and len(self.by_id) > max_entries)
                or (max_bytes is not None and self.size(now).bytes > max_bytes)
            ):
                del self.by_id[order.pop(0)]
            return before - len(self.by_id)

    def size(self, now):
        with self._lock:
            self._enter("size")
            live = list(self._live(now))
            return StoreSize(len(live), sum(len(e.payload) + len(e.question) + 200 for e, _ in live))

    def entries(self, partition=None, *, limit, now):
        with self._lock:
            self._enter("entries")
            return [e for e, _ in self._live(now) if partition in {None, e.partition}][:limit]

    def claim(self, name, owner, lease_s, now):
        with self._lock:
            self._enter("claim")
            holder, until = self.claims.get(name, (owner, 0.0))
            if holder != owner and now < until:
                return False
            self.claims[name] = (owner, now + lease_s)
            return True

    def release(self, name, owner):
        with self._lock:
            self._enter("release")
            if self.claims.get(name, ("", 0))[0] == owner:
                del self.claims[name]

    def load_state(self, name):
        self._enter("load_state")
        return self.states.get(name)

    def save_state(self, name, data):
        self._enter("save_state")
        self.states[name] = data

    def close(self):
        self.is_closed = True


def _async_twin(name):
    async def twin(self, *arguments, **named):
        return getattr(self, name)(*arguments, **named)

    return twin


for _name in [name for name in vars(DictStore) if not name.startswith("_")]:
    setattr(DictStore, f"a{_name}", _async_twin(_name))


def _meets(selector: Selector, entry: CacheEntry) -> bool:
    return (
        selector.id in {None, entry.id}
        and selector.partition in {None, entry.partition}
        and selector.tenant in {None, entry.tenant}
        and (selector.source is None or selector.source in entry.sources)
        and (selector.tag is None or selector.tag in entry.tags)
        and selector.model in {None, entry.model}
        and selector.version in {None, entry.version}
        and (selector.prefix is None or normalised(entry.question).startswith(normalised(selector.prefix)))
        and (selector.created_before is None or entry.created_at < selector.created_before)
    )
