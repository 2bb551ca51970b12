"""The thin HTTP layer: reads a request, asks the engine, writes the answer, obeys faults."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from examples.provider.exchange import ProviderAnswer, ProviderError, ProviderRequest
from examples.provider.faults import Cut, Fail, Fault, Malformed, Stall
from examples.provider.wire import CHAT, MESSAGES, RESPONSES, Event, Wire, embeddings
from examples.provider.wire._common import parse_json

if TYPE_CHECKING:
    from examples.provider.server import LoopbackProvider

__all__ = ["Server"]

_WIRES = {"/v1/chat/completions": CHAT, "/v1/responses": RESPONSES, "/v1/messages": MESSAGES}
_SECRET_HEADERS = {"authorization", "x-api-key", "api-key"}
_BROKEN_JSON = b'{"id": "broken", "choices": ['


class Server(ThreadingHTTPServer):
    """One thread per connection, and a list of connections so that none outlives the server."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, provider: LoopbackProvider, port: int) -> None:
        self.provider = provider
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def drop_connections(self, timeout_s: float = 5.0) -> None:
        """Close every connection and wait until their threads have let go."""
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, timeout_s)

    def handle_error(self, request: Any, client_address: Any) -> None:  # base class's signature
        """Say nothing: callers that hang up are everyday life, and other errors were answered."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "loopback-provider"
    disable_nagle_algorithm = True
    server: Server
    _begun = False

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # base class's signature
        """Log nothing."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path != "/v1/models":
            self._send_json(404, CHAT.error(ProviderError(404, f"Unknown request URL: GET {self.path}")))
            return
        models = [
            {"id": name, "object": "model", "created": 0, "owned_by": "loopback"}
            for name in self.server.provider.models
        ]
        self._send_json(200, {"object": "list", "data": models})

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        self._begun = False
        try:
            self._serve(path, self._body())
        except ProviderError as error:
            self._refuse(path, error)
        except ConnectionError:
            self.close_connection = True
        except Exception as error:  # noqa: BLE001  # the engine is foreign code; its caller gets a 500
            self.server.provider.errors.append(error)
            self._refuse(path, ProviderError(500, f"the engine raised {error!r}", kind="server_error"))

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length")
        if length is None:
            self.close_connection = True  # what follows cannot be told from the next request
            raise ProviderError(411, "A Content-Length header is needed.")
        return self.rfile.read(int(length))

    def _refuse(self, path: str, error: ProviderError) -> None:
        """Send an error, or hang up where an answer has begun."""
        if self._begun:
            self.close_connection = True
        else:
            self._send_json(error.status, _WIRES.get(path, CHAT).error(error))

    def _serve(self, path: str, raw: bytes) -> None:
        provider = self.server.provider
        if path not in _WIRES and path != "/v1/embeddings":
            raise ProviderError(404, f"Unknown request URL: POST {path}")
        body = parse_json(raw)
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers = {name: value for name, value in headers.items() if name not in _SECRET_HEADERS}
        model = str(body.get("model") or "")
        provider.see(path, model, body, headers)
        fault = provider.faults.take(model=model, path=path)
        if path == "/v1/embeddings":
            self._embed(body, headers, fault)
        else:
            self._answer(_WIRES[path], body, headers, fault)

    def _embed(self, body: Mapping[str, Any], headers: Mapping[str, str], fault: Fault | None) -> None:
        embedder = self.server.provider.embedder
        request = _parsed(embeddings.parse, body, headers)
        if self._spoiled(CHAT, fault, stream=False):
            return
        tokens = sum(
            embedder.count_tokens(given) if isinstance(given, str) else len(given) for given in request.inputs
        )
        self._send_json(200, embeddings.render(request, embedder.embed(request), tokens), fault)

    def _answer(
        self, wire: Wire, body: Mapping[str, Any], headers: Mapping[str, str], fault: Fault | None
    ) -> None:
        provider = self.server.provider
        request = _parsed(wire.parse, body, headers)
        if self._spoiled(wire, fault, stream=request.stream):
            return
        answer = provider.engine.answer(request)
        if request.stream:
            self._send_stream(wire, request, answer, fault)
        else:
            self._send_json(200, wire.render(request, answer, provider.stamp()), fault)

    def _spoiled(self, wire: Wire, fault: Fault | None, *, stream: bool) -> bool:
        """Do what a fault wants done before the answer; true where it was the answer."""
        if isinstance(fault, Stall) and not (stream and fault.after_chunks):
            fault.hold()
        if isinstance(fault, Fail) and not (stream and fault.after_chunks is not None):
            body = fault.body or wire.error(_as_error(fault))
            extra = {} if fault.retry_after_s is None else {"Retry-After": f"{fault.retry_after_s:g}"}
            self._send_json(fault.status, body, headers=extra)
            return True
        return False

    def _send_json(
        self,
        status: int,
        body: Mapping[str, Any],
        fault: Fault | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        data = _BROKEN_JSON if isinstance(fault, Malformed) else json.dumps(body).encode()
        self._begin(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if isinstance(fault, Cut):
            data, self.close_connection = data[: len(data) // 2], True
        self.wfile.write(data)

    def _send_stream(
        self, wire: Wire, request: ProviderRequest, answer: ProviderAnswer, fault: Fault | None
    ) -> None:
        self._begin(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for sent, event in enumerate(wire.stream(request, answer, self.server.provider.stamp())):
            if fault is not None and fault.after_chunks == sent and self._broken_off(wire, fault):
                return
            self._send_event(event)
        if isinstance(fault, Cut):
            self.close_connection = True
        else:
            self._send_chunk(b"")

    def _broken_off(self, wire: Wire, fault: Fault) -> bool:
        """Do what a fault wants done at this point of a stream; true where the stream ends here."""
        if isinstance(fault, Stall):
            if fault.after_chunks:
                fault.hold()
            return False
        if isinstance(fault, Cut):
            self.close_connection = True
            return True
        if isinstance(fault, Fail):
            self._send_event(Event(None, fault.body) if fault.body else wire.error_event(_as_error(fault)))
        else:
            self._send_event(
                Event("content_block_delta" if wire is MESSAGES else None, _BROKEN_JSON.decode())
            )
        self._send_chunk(b"")
        return True

    def _send_event(self, event: Event) -> None:
        data = event.data if isinstance(event.data, str) else json.dumps(event.data)
        name = "" if event.name is None else f"event: {event.name}\n"
        self._send_chunk(f"{name}data: {data}\n\n".encode())

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _begin(self, status: int) -> None:
        """Send the status and the headers that every answer has."""
        provider = self.server.provider
        uid = provider.stamp().uid
        self._begun = True
        self.send_response(status)
        self.send_header("x-request-id", f"req_{uid}")
        self.send_header("request-id", f"req_{uid}")
        if not provider.keep_alive:
            self.send_header("Connection", "close")


def _parsed(parse: Any, body: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
    try:
        return parse(body, headers)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProviderError(400, f"the request could not be read: {error!r}") from error


def _as_error(fault: Fail) -> ProviderError:
    kind = "invalid_request_error" if fault.status < 500 else "server_error"
    return ProviderError(fault.status, fault.message, kind=kind)
