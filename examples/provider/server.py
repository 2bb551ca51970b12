"""A provider on loopback that real clients talk to; it is a stand-in, not a model."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from examples.provider._http import Server
from examples.provider.embedding import HashedWordEmbedder
from examples.provider.exchange import EmbeddingEngine, Engine
from examples.provider.faults import Fault, FaultQueue
from examples.provider.wire import Stamp

__all__ = ["LoopbackProvider", "SeenRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """One request as it arrived, refused ones included.

    Attributes:
        path: Such as `/v1/chat/completions`.
        model: The model asked for; empty where the request names none.
        body: The parsed JSON body.
        headers: By lower-case name, without those that hold a key.
    """

    path: str
    model: str
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def stream(self) -> bool:
        """Whether a stream was asked for."""
        return bool(self.body.get("stream"))


class LoopbackProvider:
    """Serves an engine's answers over HTTP on 127.0.0.1, in four wire formats.

        engine = ScriptedEngine(ProviderAnswer(text="hello", usage=ProviderUsage(input_tokens=9)))
        with LoopbackProvider(engine) as provider:
            ChatOpenAI(base_url=provider.openai_url, api_key="unused", model="gpt-4.1-nano").invoke("hi")

    Keys are neither asked for nor kept. Every connection is served by a thread of its own;
    leaving the block releases all stalls and closes all connections.

    Args:
        engine: Decides the answers. Called from several threads at once.
        embedder: Decides the vectors of `/v1/embeddings`; by default hashed words.
        port: Port to listen on; 0 lets the system choose.
        models: Names that `/v1/models` lists; any name can be asked for.
        keep_alive: Whether a connection serves several calls, as at real providers. Frameworks
            never close their async clients; where warnings are errors, False has each client
            close its connection after the call.
        keep_requests: How many requests are remembered; counts go on beyond that.
        clock: Gives the time that answers are stamped with, in seconds since 1970.
        new_id: Gives the part of ids that makes them unique.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        embedder: EmbeddingEngine | None = None,
        port: int = 0,
        models: Sequence[str] = (),
        keep_alive: bool = True,
        keep_requests: int = 1000,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self.engine = engine
        self.embedder: EmbeddingEngine = embedder or HashedWordEmbedder()
        self.models = tuple(models)
        self.keep_alive = keep_alive
        self.faults = FaultQueue()
        self.errors: list[BaseException] = []
        """Exceptions of the engine that were no `ProviderError`; callers saw a 500."""
        self._seen: deque[SeenRequest] = deque(maxlen=keep_requests)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._clock, self._new_id = clock, new_id
        self._lock = threading.Lock()
        self._http = Server(self, port)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The root, which Anthropic's clients take as `base_url`."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def openai_url(self) -> str:
        """The root with `/v1`, which OpenAI's clients take as `base_url`."""
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[SeenRequest]:
        """The requests seen last, oldest first; at most `keep_requests`."""
        with self._lock:
            return list(self._seen)

    def count(self, *, model: str | None = None, path: str | None = None) -> int:
        """Count the requests seen since the start, of a model or to a path."""
        with self._lock:
            return sum(
                times
                for (to, of), times in self._counts.items()
                if model in {None, of} and path in {None, to}
            )

    def inject(
        self, fault: Fault, *, model: str | None = None, path: str | None = None, times: int | None = 1
    ) -> None:
        """Let the next `times` matching calls go wrong; None means all of them until `clear_faults`.

        Clients retry many failures by themselves; give them `max_retries=0` or a higher `times`.
        """
        self.faults.add(fault, model=model, path=path, times=times)

    def clear_faults(self) -> None:
        """Behave again, and release every stall."""
        self.faults.clear()

    def start(self) -> Self:
        """Serve from a thread in the background."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._http.serve_forever,
                kwargs={"poll_interval": 0.02},
                name="loopback-provider",
                daemon=True,
            )
            self._thread.start()
        return self

    def serve_forever(self) -> None:
        """Serve from this thread until interrupted."""
        self._http.serve_forever()

    def close(self) -> None:
        """Stop serving, release every stall and close every connection."""
        self.faults.clear()
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._thread = None
        self._http.drop_connections()
        self._http.server_close()

    def see(self, path: str, model: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Remember a request; the server calls this."""
        with self._lock:
            self._seen.append(SeenRequest(path=path, model=model, body=body, headers=headers))
            self._counts[path, model] += 1

    def stamp(self) -> Stamp:
        """Draw an id and the time for one answer; the server calls this."""
        return Stamp(uid=self._new_id(), created=int(self._clock()))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
