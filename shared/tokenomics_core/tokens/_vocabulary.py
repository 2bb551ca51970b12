"""tiktoken vocabularies from wherever they lie, without network, locks or side effects on others.

tiktoken itself downloads a vocabulary on first use, without a timeout and under a lock that every other
user of it waits for; where a file in its cache folder is damaged it deletes that file. Here a vocabulary is
read from tiktoken's cache folder or from the copy that llama-index-core ships, verified against tiktoken's
own checksum, and downloaded only beside the call that wanted it.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tiktoken import Encoding

__all__ = ["Download", "Vocabularies", "local_folders"]

Download = Literal["background", "wait", "never"]
_Loader = Callable[..., dict[bytes, int]]

_logger = logging.getLogger("tokenomics_core.tokens")


class Vocabularies:
    """Encodings by name, each loaded once; safe for any number of threads."""

    def __init__(
        self,
        *,
        folders: Callable[[], Iterable[Path]] | None = None,
        loaded: Callable[[str], Encoding | None] | None = None,
        fetch: Callable[[str], Encoding] | None = None,
        clock: Callable[[], float] = time.monotonic,
        retry_after_s: float = 600.0,
        wait_s: float = 15.0,
    ) -> None:
        """Say where to look and how to download.

        Args:
            folders: Returns the folders that may hold vocabulary files; by default `local_folders`.
            loaded: Returns an encoding that is in memory already; by default what tiktoken has loaded.
            fetch: Downloads an encoding or raises `OSError` or `ValueError`; by default tiktoken's loader.
            clock: Seconds that only grow.
            retry_after_s: How long a vocabulary that was not found is not looked for again.
            wait_s: How long a call with `download="wait"` waits at most.
        """
        self._folders = folders or local_folders
        self._loaded = loaded or _loaded_by_tiktoken
        self._fetch = fetch or _fetch
        self._clock = clock
        self._retry_after_s = retry_after_s
        self._wait_s = wait_s
        self._encodings: dict[str, Encoding] = {}
        self._not_before: dict[tuple[str, str], float] = {}
        self._downloads: dict[str, threading.Thread] = {}
        self._lock = threading.RLock()

    def get(self, name: str, *, download: Download = "background") -> Encoding | None:
        """Return an encoding, or None while its vocabulary is not at hand.

        Reading one takes about a third of a second, once. With `download="background"` a missing one is
        fetched by a thread of its own and served to later calls; `"wait"` waits for it, but not for ever.
        """
        encoding = self._encodings.get(name)
        if encoding is not None:
            return encoding
        with self._lock:
            encoding = self._encodings.get(name) or self._read(name)
            if encoding is not None or download == "never":
                return encoding
            thread = self._start_download(name)
        if thread is not None and download == "wait":
            thread.join(self._wait_s)
        return self._encodings.get(name)

    def _read(self, name: str) -> Encoding | None:
        encoding = self._loaded(name)
        if encoding is None and self._due("read", name):
            encoding = _read_encoding(name, self._folders())
        if encoding is not None:
            self._encodings[name] = encoding
        return encoding

    def _start_download(self, name: str) -> threading.Thread | None:
        thread = self._downloads.get(name)
        if thread is not None and thread.is_alive():
            return thread
        if not self._due("download", name):
            return None
        thread = threading.Thread(
            target=self._run_download, args=(name,), name=f"download {name}", daemon=True
        )
        self._downloads[name] = thread
        thread.start()
        return thread

    def _run_download(self, name: str) -> None:
        try:
            self._encodings[name] = self._fetch(name)
        except (ImportError, OSError, ValueError) as problem:
            _logger.info(
                "the vocabulary %s could not be downloaded (%s); tokens are estimated and the download is "
                "tried again in %.0f s at the earliest",
                name,
                type(problem).__name__,
                self._retry_after_s,
            )

    def _due(self, action: str, name: str) -> bool:
        now = self._clock()
        if now < self._not_before.get((action, name), now):
            return False
        self._not_before[action, name] = now + self._retry_after_s
        return True


def local_folders() -> list[Path]:
    """Return the folders that may hold vocabularies: tiktoken's cache, and llama-index-core's copy."""
    configured = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if configured is None:
        folders = [Path(tempfile.gettempdir()) / "data-gym-cache"]
    else:
        folders = [Path(configured)] if configured else []
    try:
        spec = importlib.util.find_spec("llama_index")  # a namespace package, so nothing is imported
    except (ImportError, ValueError):
        spec = None
    for place in (spec.submodule_search_locations if spec else None) or ():
        folders.append(Path(place) / "core" / "_static" / "tiktoken_cache")
    return folders


def _loaded_by_tiktoken(name: str) -> Encoding | None:
    registry = sys.modules.get("tiktoken.registry")
    encodings: dict[str, Encoding] = getattr(registry, "ENCODINGS", {})
    return encodings.get(name)


def _read_encoding(name: str, folders: Iterable[Path]) -> Encoding | None:
    places = list(folders)

    def load(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
        # tiktoken names a cached file by the hash of its address.
        file_name = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
        for folder in places:
            try:
                content = (folder / file_name).read_bytes()
            except OSError:
                continue
            if hashlib.sha256(content).hexdigest() == expected_hash:
                return _parse(content)
        raise FileNotFoundError(f"no folder holds the vocabulary {name}")

    try:
        return _build(name, load)
    except (AttributeError, ImportError, KeyError, OSError, TypeError, ValueError) as problem:
        _logger.debug("vocabulary %s is not at hand: %s", name, problem)
        return None


def _fetch(name: str) -> Encoding:
    from tiktoken.load import load_tiktoken_bpe  # noqa: PLC0415 - loaded only where it is used

    return _build(name, load_tiktoken_bpe)


def _build(name: str, load: _Loader) -> Encoding:
    """Run tiktoken's own constructor with another way to load the file.

    The constructor knows address, checksum and split pattern, but loads at once. A copy of it that sees
    another loader leaves tiktoken's module as it is, for other threads too.
    """
    from tiktoken import Encoding  # noqa: PLC0415 - importing this module loads no tiktoken
    from tiktoken_ext import openai_public  # type: ignore[import-untyped]  # noqa: PLC0415 - as above; no stubs

    namespace: dict[str, Any] = {**vars(openai_public), "load_tiktoken_bpe": load}
    for each, constructor in openai_public.ENCODING_CONSTRUCTORS.items():
        namespace[each] = FunctionType(constructor.__code__, namespace, each)
    return Encoding(**namespace[name]())


def _parse(content: bytes) -> dict[bytes, int]:
    lines = (line.split() for line in content.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in lines}
