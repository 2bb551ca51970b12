"""Answer a browser on one page and its data, and nobody who should not see them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tokenomics_core.observability._dashboard_refresh import Snapshot

__all__ = ["DashboardServer", "Door", "is_loopback"]

_log = logging.getLogger("tokenomics")
_MOST_AT_ONCE = 32
_PAGE = files("tokenomics_core.observability") / "_dashboard_page"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Door:
    """Decide who may look.

    Args:
        token: What a viewer has to know; None lets everybody in who gets here.
        names: Names under which a viewer may come, besides addresses in numbers and `localhost`. Any other
            name may be a page elsewhere whose name was made to point here.
    """

    def __init__(self, token: str | None, names: Iterable[str]) -> None:
        self._token = token
        self._names = {name.lower() for name in names} | {"localhost"}
        # The cookie is not the token: who reads it from a browser cannot log in elsewhere with it.
        self.cookie = None if token is None else _digest(token)

    def knows_host(self, header: str | None) -> bool:
        """Whether a request came under a name of ours."""
        try:
            name = urlsplit(f"//{header}").hostname if header else None
        except ValueError:
            return False
        if name is None:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True

    def is_token(self, given: str) -> bool:
        """Whether somebody knows the token."""
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())

    def admits(self, cookie: str, bearer: str) -> bool:
        """Whether a request may be answered."""
        if self.cookie is None:
            return True
        return hmac.compare_digest(cookie.encode(), self.cookie.encode()) or self.is_token(bearer)


def _digest(token: str) -> str:
    return hmac.new(token.encode(), b"tokenomics dashboard", hashlib.sha256).hexdigest()


class _Document:
    """A page with its style and script in it, and the policy that lets nothing else in."""

    def __init__(self, name: str, message: str = "") -> None:
        style, script = _text("page.css"), _text("page.js")
        text = _text(name).replace("MESSAGE", message)
        self.body = text.replace("STYLE", style).replace("SCRIPT", script).encode()
        has_script = b"<script>" in self.body
        self.policy = "; ".join(
            (
                "default-src 'none'",
                f"style-src '{_hash(style)}'",
                *([f"script-src '{_hash(script)}'", "connect-src 'self'"] if has_script else []),
                "form-action 'self'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            )
        )


def _text(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


class DashboardServer(ThreadingHTTPServer):
    """Serve a dashboard from threads, so many at once and no more."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, door: Door, current: Callable[[], Snapshot | None]) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.door, self.current = door, current
        self.page, self.login = _Document("page.html"), _Document("login.html")
        self.wrong_token = _Document("login.html", "That is not the token.")
        self._places = threading.BoundedSemaphore(_MOST_AT_ONCE)
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; where all are taken, hang up."""
        if not self._places.acquire(timeout=1):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature of the base
        """Note what went wrong; a viewer who left is nothing wrong."""
        _log.debug("a request of a dashboard ended early", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: DashboardServer
    server_version = "tokenomics"
    sys_version = ""
    timeout = 10

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - the signature of the base
        """Refuse what is no request or asks for anything but a page, in a few words of our own."""
        self.close_connection = True
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"Only GET and HEAD are answered.\n", Allow="GET, HEAD")
        else:
            self._send(HTTPStatus(code), b"That was no request.\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base
        """Say nothing: a line may hold the token of a first login."""

    def _answer(self, *, with_body: bool) -> None:
        self._with_body = with_body
        door, address = self.server.door, urlsplit(self.path)
        if not door.knows_host(self.headers.get("Host")):
            self._send(HTTPStatus.MISDIRECTED_REQUEST, b"This dashboard does not go by that name.\n")
            return
        given = parse_qs(address.query).get("token", [""])[0] if address.path == "/" else ""
        if given and door.is_token(given):
            self._let_in()
        elif not door.admits(self._cookie(), self._bearer()):
            login = self.server.wrong_token if given else self.server.login
            self._send(
                HTTPStatus.UNAUTHORIZED,
                login.body,
                "text/html; charset=utf-8",
                policy=login.policy,
                **{"WWW-Authenticate": "Bearer"},
            )
        elif address.path == "/":
            page = self.server.page
            self._send(HTTPStatus.OK, page.body, "text/html; charset=utf-8", policy=page.policy)
        elif address.path == "/data.json":
            self._send_data()
        else:
            self._send(HTTPStatus.NOT_FOUND, b"There is nothing here.\n")

    def _let_in(self) -> None:
        """Leave a cookie, and lead away from the address that has the token in it."""
        cookie = f"{self._cookie_name}={self.server.door.cookie}; Path=/; HttpOnly; SameSite=Lax"
        self._send(HTTPStatus.SEE_OTHER, b"", Location="/", **{"Set-Cookie": cookie})

    def _send_data(self) -> None:
        snapshot = self.server.current()
        if snapshot is None:
            self._send(
                HTTPStatus.SERVICE_UNAVAILABLE,
                b"The ledger is being read for the first time.\n",
                **{"Retry-After": "1"},
            )
            return
        about = {"ETag": snapshot.etag, "X-Read-At": snapshot.read_at}
        known = [tag.strip().removeprefix("W/") for tag in self.headers.get("If-None-Match", "").split(",")]
        if snapshot.etag in known or "*" in known:
            self._send(HTTPStatus.NOT_MODIFIED, None, caching="private, no-cache", **about)
            return
        self._send(
            HTTPStatus.OK,
            snapshot.body,
            "application/json; charset=utf-8",
            caching="private, no-cache",
            **about,
        )

    def _send(
        self,
        status: HTTPStatus,
        body: bytes | None,
        kind: str = "text/plain; charset=utf-8",
        *,
        policy: str = "default-src 'none'; frame-ancestors 'none'",
        caching: str = "no-store",
        **headers: str,
    ) -> None:
        self.send_response(status)
        if body is not None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        for name, value in {
            "Cache-Control": caching,
            "Content-Security-Policy": policy,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "Vary": "Cookie, Authorization",
            "X-Content-Type-Options": "nosniff",
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if body and getattr(self, "_with_body", True):
            self.wfile.write(body)

    @property
    def _cookie_name(self) -> str:
        return f"tokenomics-{self.server.server_port}"

    def _cookie(self) -> str:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(self._cookie_name)
        except CookieError:
            return ""
        return "" if found is None else found.value

    def _bearer(self) -> str:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""
