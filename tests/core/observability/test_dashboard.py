"""A dashboard says what the ledger says, to those who may know it, and answers at once."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.observability.records import hit, spend
from tokenomics_core import Attribution, ConfigurationError, StoreError, Totals
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability._dashboard_document import describe, encode
from tokenomics_core.observability._dashboard_refresh import Refresher
from tokenomics_core.observability._dashboard_view import SpendView
from tokenomics_core.observability.dashboard import Dashboard

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
TOKEN = "correct-horse-battery"


class Clock:
    """A clock that only tests move."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


# What is read

_values = st.sampled_from([None, "a", "b", "c"])
_calls = st.lists(
    st.builds(
        lambda back_h, cost, model, feature, user, saved: spend(
            model,
            cost,
            at=NOW - timedelta(hours=back_h),
            **({"feature": feature} if feature else {}),
            **({"user": user} if user else {}),
            **({"avoided_usd": Decimal(saved), "avoided_by": "route"} if saved else {}),
        ),
        st.integers(0, 24 * 45),
        st.sampled_from(["0.1", "0.0003", None]),
        st.sampled_from(["gpt-4o", "claude"]),
        _values,
        _values,
        st.sampled_from([None, "0.05", "-0.01"]),
    ),
    max_size=25,
)


@given(early=_calls, late=_calls)
def test_sums_are_those_of_the_ledger_whatever_was_read_before(early, late):
    ledger, clock = MemoryLedger(), Clock()
    for record in early:
        ledger.record(record)
    view = SpendView(ledger, clock=clock)
    view.read()
    for record in late:
        ledger.record(record)
    clock.now += timedelta(minutes=11)
    found = view.read()
    month, today = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)
    assert found.month == ledger.totals(since=month)
    assert found.today == ledger.totals(since=today)
    for dimension in ("model", "feature", "project", "user", "avoided_by"):
        expected = ledger.totals_by(dimension, since=month)
        assert {line.name: line.month for line in found.by[dimension]} == expected
        assert {
            line.name: line.today for line in found.by[dimension] if line.today.calls
        } == ledger.totals_by(dimension, since=today)
    by_day = ledger.totals_by(bucket="day", since=datetime(2026, 10, 22, tzinfo=UTC))
    assert {day: totals for day, totals in found.days.items() if totals.calls} == {
        start.date(): totals for start, totals in by_day.items()
    }
    assert list(found.days) == [date(2026, 10, 22) + timedelta(days=index) for index in range(31)]


def test_today_is_read_every_time_and_earlier_days_now_and_then():
    ledger, clock = MemoryLedger(), Clock()
    view = SpendView(ledger, clock=clock, recheck_s=600)
    view.read()
    ledger.record(spend(cost="1", at=NOW - timedelta(days=2)))
    ledger.record(spend(cost="2", at=NOW))
    assert view.read().month.cost_usd == 2
    clock.now += timedelta(seconds=601)
    assert view.wants_earlier_days
    assert view.read().month.cost_usd == 3


def test_what_is_known_before_the_earlier_days_are_read_says_so():
    ledger = MemoryLedger()
    ledger.record(spend(cost="1", at=NOW - timedelta(days=2)))
    ledger.record(spend(cost="2", at=NOW))
    view = SpendView(ledger, clock=Clock())
    first = view.read_today()
    assert (first.month.cost_usd, first.is_complete) == (2, False)
    document = describe(first)
    assert "still being read" in document["notices"][0]
    assert document["days"][-3]["cost"] == "…"
    assert view.read().is_complete


def test_a_new_day_and_a_new_month_begin_at_midnight_of_the_zone():
    ledger, clock = MemoryLedger(), Clock(datetime(2026, 11, 30, 22, 30, tzinfo=UTC))
    ledger.record(spend(cost="1", at=clock.now))
    view = SpendView(ledger, clock=clock, timezone="Europe/Berlin")
    assert view.read().today.cost_usd == 1
    clock.now += timedelta(hours=1)
    after = view.read()
    assert (after.today, after.month) == (Totals(), Totals())
    assert after.days[date(2026, 11, 30)].cost_usd == 1
    assert describe(after)["month"] == "December 2026"


def test_a_query_is_a_run_or_a_call_outside_of_any():
    ledger = MemoryLedger()
    for run in ("r1", "r1", "r2", None, None):
        record = spend(cost="0.3", at=NOW)
        ledger.record(
            type(record)(
                **{**_fields(record), "attribution": Attribution(run=run), "id": f"{id(record)}{run}"}
            )
        )
    found = SpendView(ledger, clock=Clock()).read()
    assert found.queries_today == 4
    figures = {figure["name"]: figure for figure in describe(found)["figures"]}
    assert figures["Cost per query today"]["value"] == "$0.375"


def _fields(record):
    return {name: getattr(record, name) for name in record.__slots__}


# What is shown


def test_unknown_is_never_zero():
    ledger = MemoryLedger()
    ledger.record(spend("mystery", None, at=NOW))
    document = describe(SpendView(ledger, clock=Clock()).read())
    figures = {figure["name"]: figure for figure in document["figures"]}
    assert figures["Today"]["value"] == "unpriced"
    assert figures["Calls without a price"] == {
        "name": "Calls without a price",
        "value": "1",
        "detail": "this month; their cost is in no sum",
        "level": "error",
    }
    (row,) = document["sections"][0]["rows"]
    assert (row["cost"], row["unpriced"], row["mean"]) == ("unpriced", "+1 unpriced", "\N{EN DASH}")


def test_many_values_end_in_a_line_for_the_rest():
    ledger = MemoryLedger()
    for index in range(25):
        ledger.record(spend(cost=str(index + 1), user=f"user-{index}", at=NOW))
    section = describe(SpendView(ledger, clock=Clock()).read())["sections"][-1]
    assert section["id"] == "user"
    assert len(section["rows"]) == 21
    assert (section["rows"][0]["name"], section["rows"][-1]["name"]) == ("user-24", "5 others")
    assert section["rows"][-1]["cost"] == "$15.00"


def test_what_a_cache_avoided_is_told_by_part():
    ledger = MemoryLedger()
    ledger.record(hit(avoided="0.5", at=NOW))
    ledger.record(spend(cost="1", avoided_usd=Decimal("1.5"), avoided_by="route", at=NOW))
    document = describe(SpendView(ledger, clock=Clock()).read())
    assert [(line["name"], line["month"], line["share"]) for line in document["avoided"]] == [
        ("route", "$1.50", 0.75),
        ("cache", "$0.50", 0.25),
    ]


def test_the_fullest_budgets_come_first_with_what_calls_in_flight_hold():
    budgets = Budgets([Limit("feature", usd=10, window="month"), Limit("all", calls=100)])
    budgets.record(Attribution(feature="mail"), usd="9", calls=1)
    budgets.record(Attribution(feature="chat"), usd="2", calls=1)
    budgets.reserve(Attribution(feature="chat"), usd="3")
    ledger = MemoryLedger()
    for feature in ("mail", "chat"):
        ledger.record(spend(feature=feature, at=NOW))
    with Dashboard(ledger, budgets=budgets, clock=Clock()) as dashboard:
        document = ask(dashboard, "/data.json")[2]
    shown = [
        (line["name"], line["what"], line["spent"], line["left"], line["part"], line["level"])
        for line in document["budgets"]
    ]
    assert shown == [
        ("mail", "feature, month", "$9.00", "$1.00", "90%", "warning"),
        ("chat", "feature, month", "$2.00", "$5.00", "20%", "good"),
        ("all calls", "", "2 calls", "97 calls", "2%", "good"),
    ]
    assert document["budgets"][1]["held"] == pytest.approx(0.3)


def test_limits_that_match_tags_are_shown_for_named_accounts_alone():
    budgets = Budgets([Limit("user", usd=1), Limit("user", usd=5, match={"user_tier": "gold"})])
    ledger = MemoryLedger()
    ledger.record(spend(user="bob", at=NOW))
    ada = Attribution(user="ada", tags={"user_tier": "gold"})
    with Dashboard(ledger, budgets=budgets, accounts=[ada], clock=Clock()) as dashboard:
        document = ask(dashboard, "/data.json")[2]
    assert [(line["name"], line["limit"]) for line in document["budgets"]] == [("ada", "$5.00")]
    assert any("match tags" in notice for notice in document["notices"])


# Over HTTP


def request(dashboard, method="GET", path="/", **headers):
    """Return status, headers and body."""
    connection = http.client.HTTPConnection(dashboard.host, dashboard.port, timeout=30)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_host="Host" in given)
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def ask(dashboard, path, **headers):
    """Return status, headers and document, once the whole month is read."""
    while True:
        status, heads, body = request(dashboard, path=path, **headers)
        document = json.loads(body) if body else None
        if document is None or document["complete"]:
            return status, heads, document


@pytest.fixture
def ledger():
    ledger = MemoryLedger()
    ledger.record(spend(cost="0.25", feature="<script>alert(1)</script>", user="ada", at=NOW))
    return ledger


@pytest.fixture
def dashboard(ledger):
    with Dashboard(ledger, clock=Clock(), refresh_s=0.01) as dashboard:
        yield dashboard


@pytest.fixture
def guarded(ledger):
    with Dashboard(ledger, clock=Clock(), token=TOKEN) as dashboard:
        yield dashboard


def test_the_page_lets_nothing_in_but_its_own_style_and_script(dashboard):
    status, headers, body = request(dashboard)
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    for name, value in {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }.items():
        assert headers[name] == value
    text = body.decode()
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
    assert " style=" not in text
    assert " onclick=" not in text


def test_data_that_did_not_change_are_not_sent_again(dashboard, ledger):
    _, headers, document = ask(dashboard, "/data.json")
    assert document["figures"][0]["value"] == "$0.25"
    status, again, nothing = request(dashboard, path="/data.json", If_None_Match=headers["ETag"])
    assert (status, nothing, again["ETag"]) == (304, b"", headers["ETag"])
    ledger.record(spend(cost="0.5", at=NOW))
    deadline = threading.Event()
    for _ in range(3000):
        status, _, _ = request(dashboard, path="/data.json", If_None_Match=headers["ETag"])
        if status == 200:
            break
        deadline.wait(0.01)
    assert ask(dashboard, "/data.json")[2]["figures"][0]["value"] == "$0.75"


def test_the_time_of_reading_alone_is_no_change():
    times = chain(["one"], repeat("two"))
    refresher = Refresher(lambda: iter([{"time": next(times), "at": "", "figures": []}]), every_s=0.001)
    refresher.start()
    while (first := refresher.current()) is None:
        pass
    while (second := refresher.current()).read_at != "two":
        pass
    refresher.stop()
    assert first.etag == second.etag
    assert b"two" in second.body


def test_head_sends_no_body(dashboard):
    status, headers, body = request(dashboard, "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_nothing_but_get_and_head_is_answered(dashboard, method):
    status, headers, _ = request(dashboard, method, "/data.json")
    assert status == 405
    assert headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/etc/passwd", "/../page.js", "//evil", "/data.json/", "/favicon.ico"])
def test_there_is_nothing_else(dashboard, path):
    assert request(dashboard, path=path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "", "[", None])
@pytest.mark.parametrize("path", ["/", "/data.json"])
def test_a_name_that_was_made_to_point_here_is_not_answered(dashboard, host, path):
    status, _, body = request(dashboard, path=path, Host=host)
    assert status == 421
    assert b"0.25" not in body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:99", "LOCALHOST"])
def test_names_of_this_machine_are_answered(dashboard, host):
    assert request(dashboard, Host=host)[0] == 200


def test_further_names_may_be_allowed(ledger):
    with Dashboard(ledger, names=["spend.example"], token=TOKEN) as dashboard:
        assert request(dashboard, Host="spend.example", Authorization=f"Bearer {TOKEN}")[0] == 200


# Behind a token


@pytest.mark.parametrize("path", ["/", "/data.json", "/nothing", "/data.json?token=" + TOKEN])
def test_without_the_token_nothing_is_told(guarded, path):
    status, headers, body = request(guarded, path=path)
    assert status == 401
    assert headers["WWW-Authenticate"] == "Bearer"
    assert b"0.25" not in body
    assert TOKEN.encode() not in body


def test_the_first_login_leaves_a_cookie_and_leads_away_from_the_token(guarded):
    status, headers, body = request(guarded, path=f"/?token={TOKEN}")
    assert (status, headers["Location"], body) == (303, "/", b"")
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite" in cookie
    assert TOKEN not in cookie
    pair = cookie.partition(";")[0]
    status, _, page = request(guarded, Cookie=pair)
    assert status == 200
    assert TOKEN.encode() not in page
    assert ask(guarded, "/data.json", Cookie=pair)[0] == 200


def test_a_header_will_do(guarded):
    assert request(guarded, Authorization=f"Bearer {TOKEN}")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong-but-long-enough"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer"},
        {"Cookie": f"tokenomics={TOKEN}"},
        {"Cookie": "tokenomics-PORT=" + TOKEN},
        {"Cookie": "tokenomics-PORT="},
        {"Cookie": "=;=;\x7f"},
    ],
)
def test_what_is_nearly_right_is_wrong(guarded, headers):
    given = {name: value.replace("PORT", str(guarded.port)) for name, value in headers.items()}
    assert request(guarded, path="/data.json", **given)[0] == 401


def test_a_wrong_token_is_told_so(guarded):
    status, headers, body = request(guarded, path="/?token=wrong-but-long-enough")
    assert status == 401
    assert b"That is not the token." in body
    assert "Set-Cookie" not in headers


def test_the_cookie_of_one_token_opens_no_other(ledger):
    pairs = []
    for token in (TOKEN, TOKEN[::-1]):
        with Dashboard(ledger, token=token) as dashboard:
            cookie = request(dashboard, path=f"/?token={token}")[1]["Set-Cookie"]
            pairs.append(cookie.partition(";")[0].partition("=")[2])
    assert pairs[0] != pairs[1]


# Refusals


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "spend.example", ""])
def test_beyond_this_machine_a_token_is_needed(ledger, host):
    with pytest.raises(ConfigurationError, match="a token is needed; nothing listens"):
        Dashboard(ledger, host=host)


def test_a_dashboard_for_others_listens_with_a_token(ledger):
    with Dashboard(ledger, host="0.0.0.0", token=TOKEN) as dashboard:
        dashboard.host = "127.0.0.1"
        assert request(dashboard)[0] == 401


@pytest.mark.parametrize("token", ["", "short", "fifteen letters", "ümlauts are not ascii"])
def test_a_token_that_can_be_guessed_or_not_sent_is_refused(ledger, token):
    with pytest.raises(ConfigurationError, match="at least 16 characters"):
        Dashboard(ledger, token=token)


@pytest.mark.parametrize(
    ("name", "value"), [("port", -1), ("port", 70_000), ("port", "80"), ("refresh_s", 0)]
)
def test_wrong_settings_are_refused(ledger, name, value):
    with pytest.raises(ConfigurationError, match=name):
        Dashboard(ledger, **{name: value})


def test_a_ledger_of_a_fleet_is_shown_as_one_of_a_machine(postgres_server, ledger):
    from tokenomics_core.ledger import PostgresLedger

    with PostgresLedger(postgres_server.dsn, schema=postgres_server.new_schema()) as shared:
        for record in ledger.records():
            shared.record(record)
        shared.record(spend(cost="0.5", at=NOW - timedelta(days=3), feature="chat"))
        ledger.record(spend(cost="0.5", at=NOW - timedelta(days=3), feature="chat"))
        shown = []
        for one in (shared, ledger):
            with Dashboard(one, clock=Clock()) as dashboard:
                shown.append(ask(dashboard, "/data.json")[2])
    assert shown[0] == shown[1]
    assert shown[0]["figures"][1]["value"] == "$0.75"


def test_an_address_of_the_newer_kind_will_do(ledger):
    try:
        dashboard = Dashboard(ledger, host="::1", clock=Clock())
    except OSError as error:
        pytest.skip(f"this machine has no such address: {error}")
    with dashboard:
        assert dashboard.url == f"http://[::1]:{dashboard.port}/"
        assert request(dashboard)[0] == 200


def test_a_port_in_use_is_an_error_and_nothing_is_left_behind(ledger):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            Dashboard(ledger, port=taken.getsockname()[1])


# What goes wrong


class _Failing(MemoryLedger):
    fails = False

    def _sums(self, *args):
        if self.fails:
            raise StoreError("ledger of password=secret", "is gone")
        return super()._sums(*args)


def test_a_ledger_that_fails_leaves_what_was_known_and_says_so(caplog):
    ledger = _Failing()
    ledger.record(spend(cost="0.25", at=NOW))
    with Dashboard(ledger, clock=Clock(), refresh_s=0.01) as dashboard:
        assert ask(dashboard, "/data.json")[2]["notices"] == []
        ledger.fails = True
        pause = threading.Event()
        for _ in range(3000):
            document = ask(dashboard, "/data.json")[2]
            if document["notices"]:
                break
            pause.wait(0.01)
        assert "could not be read" in document["notices"][0]
        assert "secret" not in json.dumps(document)
        assert document["figures"][0]["value"] == "$0.25"
        ledger.fails = False
        for _ in range(3000):
            if not ask(dashboard, "/data.json")[2]["notices"]:
                break
            pause.wait(0.01)
        assert ask(dashboard, "/data.json")[2]["notices"] == []
    assert len(caplog.records) == 1


def test_an_answer_waits_for_no_ledger():
    begun, go = threading.Event(), threading.Event()

    def read():
        begun.set()
        go.wait(60)
        yield {"time": "then"}

    refresher = Refresher(read, every_s=1)
    refresher.start()
    assert refresher.current() is None
    assert begun.wait(30)
    go.set()
    while (snapshot := refresher.current()) is None:
        pass
    assert (snapshot.read_at, snapshot.body) == ("then", encode({"time": "then"}))
    refresher.stop()


def test_nothing_is_read_while_nobody_looks():
    reads = []

    def read():
        reads.append(1)
        yield {"time": str(len(reads))}

    refresher = Refresher(read, every_s=0.001)
    refresher.start()
    while refresher.current() is None:
        pass
    refresher.stop()
    # Every look asks for one reading at most, and a thread left alone reads no more.
    assert 1 <= len(reads) <= 3


def test_half_characters_of_a_name_harm_nothing():
    ledger = MemoryLedger()
    ledger.record(spend(user="\ud800\u202eada", at=NOW))
    assert json.loads(encode(describe(SpendView(ledger, clock=Clock()).read())))
