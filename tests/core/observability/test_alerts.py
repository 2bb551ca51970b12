"""Alerts leave at once for the caller, and arrive or are counted."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tokenomics_core import Attribution, BudgetExceededError, ConfigurationError
from tokenomics_core.budgets import Budgets, Limit, MemoryBudgetStore
from tokenomics_core.observability.watching import ALERT_SHARES, LogAlerts, WebhookAlerts, alert_body


@contextmanager
def server(*answers, gate=None):
    """Serve the answers in turn, then 200: each a status, or a status with headers; yield (url, requests)."""
    waiting, got = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            if gate is not None:
                gate.wait(10)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, dict(self.headers), json.loads(body)))
            answer = waiting.pop(0) if waiting else 200
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}/hook", got
        finally:
            http.shutdown()
            thread.join()


def webhook(url, **settings):
    return WebhookAlerts(url, **({"wait_s": 0.001, "timeout_s": 5} | settings))


def test_an_alert_arrives_as_json_with_its_headers():
    with server() as (url, got):
        alerts = webhook(url, headers={"Authorization": "Bearer x"})
        alerts("the words")
        assert alerts.flush(10)
        alerts.close()
    ((path, headers, body),) = got
    assert (path, body, headers["Authorization"]) == ("/hook", {"text": "the words"}, "Bearer x")
    assert (alerts.sent, alerts.failed, alerts.dropped) == (1, 0, 0)


@pytest.mark.parametrize("status", [429, 500, 503, (503, {"Retry-After": "0"})])
def test_a_busy_server_is_asked_again(status):
    with server(status, status) as (url, got):
        alerts = webhook(url)
        alerts("x")
        alerts.close()
    assert len(got) == 3
    assert alerts.sent == 1


@pytest.mark.parametrize("status", [400, 401, 404, (302, {"Location": "/elsewhere"})])
def test_a_server_that_refuses_is_not_asked_again(status):
    with server(status) as (url, got):
        alerts = webhook(url)
        alerts("x")
        alerts.close()
    assert len(got) == 1
    assert (alerts.sent, alerts.failed) == (0, 1)


def test_attempts_have_an_end():
    with server(*[500] * 10) as (url, got):
        alerts = webhook(url, attempts=3)
        alerts("x")
        alerts.close()
    assert len(got) == 3
    assert alerts.failed == 1


def test_nobody_there_is_a_failure_and_no_error():
    with server() as (url, _):
        pass
    alerts = webhook(url, attempts=2)
    alerts("x")
    assert alerts.flush(10)
    assert alerts.failed == 1


def test_a_caller_never_waits_and_a_full_queue_drops():
    gate = threading.Event()
    with server(gate=gate) as (url, got):
        alerts = webhook(url, most_waiting=2)
        for number in range(10):
            alerts(str(number))  # returns though nothing is answered
        assert not alerts.flush(0.01)
        assert alerts.dropped >= 7
        gate.set()
        assert alerts.flush(10)
        alerts.close()
    assert len(got) == alerts.sent == 10 - alerts.dropped


def test_closing_ends_a_long_wait_and_takes_no_more():
    with server(*[(503, {"Retry-After": "60"})] * 5) as (url, _):
        alerts = webhook(url)
        alerts("x")
        alerts("y")
        alerts.close(timeout_s=0.2)
        alerts("z")
        assert alerts.flush(10)
    assert alerts.sent == 0
    assert alerts.failed + alerts.dropped == 3


def test_a_body_that_cannot_be_made_fails_alone():
    def body(alert):
        if alert == "bad":
            raise ValueError(alert)
        return {"said": alert}

    with server() as (url, got):
        alerts = webhook(url, body=body)
        alerts("bad")
        alerts("good")
        alerts.close()
    assert [item[2] for item in got] == [{"said": "good"}]
    assert (alerts.sent, alerts.failed) == (1, 1)


def test_budgets_tell_at_half_four_fifths_and_the_whole():
    with server() as (url, got):
        alerts = webhook(url)
        limit = Limit("user", usd="1.00", window="day", alerts=ALERT_SHARES)
        budgets = Budgets([limit], store=MemoryBudgetStore(), on_alert=alerts)
        who = Attribution(user="ada")
        for _ in range(10):
            budgets.settle(budgets.reserve(who, usd="0.10"), usd="0.10")
        with pytest.raises(BudgetExceededError):
            budgets.reserve(who, usd="0.10")
        alerts.close()
    assert [item[2]["threshold"] for item in got] == [0.5, 0.8, 1.0]
    assert got[0][2]["text"] == "user ada: 0.5 of 1 usd per day spent (alert at 50%)"


def test_the_log_gets_a_line(caplog):
    with caplog.at_level(logging.WARNING, "tokenomics"):
        LogAlerts()("dear")
    assert caplog.messages == ["dear"]


def test_values_of_any_kind_have_a_body():
    @dataclass(frozen=True)
    class Told:
        usd: Decimal
        at: datetime

    body = alert_body(Told(Decimal("1.50"), datetime(2026, 1, 1, tzinfo=UTC)))
    assert body["usd"] == "1.50"
    assert body["at"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "file:///etc/passwd"}, "url must begin with http"),
        ({"url": None}, "url must begin with http"),
        ({"timeout_s": 0}, "timeout_s must be above 0"),
        ({"attempts": 0}, "attempts must be 1 or more, not 0"),
        ({"most_waiting": True}, "most_waiting must be 1 or more, not True"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        WebhookAlerts(**({"url": "http://127.0.0.1/"} | settings))
