"""The dashboard in a real browser: at any width, by keyboard, for a screen reader, under attack."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests import chromium
from tests.core.observability.records import hit, spend
from tokenomics_core import Attribution
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability.dashboard import Dashboard

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
TOKEN = "correct-horse-battery"
HOSTILE = "<img src=x onerror=document.title='owned'>"
SIZES = {"phone": (360, 740), "tablet": (768, 1024), "desktop": (1280, 900)}


@pytest.fixture(scope="module")
def browser():
    with chromium.browser() as opened:
        yield opened


@pytest.fixture
def ledger():
    ledger = MemoryLedger()
    for index in range(60):
        ledger.record(
            spend(
                "a-model-with-a-long-name-of-2026-11-20" if index % 3 else "gpt-4o",
                str(Decimal(index) / 100),
                at=NOW - timedelta(days=index % 30),
                feature=("help", "search", HOSTILE)[index % 3],
                user=f"user-{index}",
                project="shop",
            )
        )
    ledger.record(hit(avoided="0.5", at=NOW, feature="help"))
    ledger.record(spend("mystery", None, at=NOW))
    return ledger


@pytest.fixture
def dashboard(ledger):
    budgets = Budgets([Limit("feature", usd=1, window="month"), Limit("all", usd=50)])
    budgets.record(Attribution(feature="help"), usd="1.25")
    with Dashboard(
        ledger, budgets=budgets, clock=lambda: NOW, refresh_s=0.05, title="ledger.db", token=TOKEN
    ) as dashboard:
        yield dashboard


class Visit:
    """A page, and everything that went wrong on it."""

    def __init__(self, browser, *, size="desktop", **options) -> None:
        width, height = SIZES[size]
        self._context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.page = self._context.new_page()
        self.problems: list[str] = []
        self.requested: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._note)
        self.page.on("request", lambda request: self.requested.append(request.url))

    def _note(self, message) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def open(self, dashboard):
        self.page.goto(dashboard.login_url)
        self.page.wait_for_selector("main[data-ready=all]")
        return self.page

    def close(self) -> None:
        self._context.close()


@pytest.fixture
def visit(browser):
    visits = []

    def begin(**options):
        visits.append(Visit(browser, **options))
        return visits[-1]

    yield begin
    for one in visits:
        one.close()


def test_the_figures_are_those_of_the_ledger(visit, dashboard, ledger):
    page = visit().open(dashboard)
    month = ledger.totals(since=datetime(2026, 11, 1, tzinfo=UTC))
    figures = page.locator("#figures > div").all_inner_texts()
    assert f"${month.cost_usd:.2f}" in figures[1]
    assert f"{month.calls} calls" in figures[1]
    models = page.get_by_role("table", name="Models this month").get_by_role("row").all_inner_texts()
    assert any("mystery" in row and "unpriced" in row for row in models)
    budgets = page.get_by_role("table", name="Budgets").get_by_role("row").all_inner_texts()
    assert "help" in budgets[1]
    assert "125%" in budgets[1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_overlaps_or_pales(visit, dashboard, size, scheme):
    seen = visit(size=size, color_scheme=scheme)
    page = seen.open(dashboard)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1)
            .map(e => e.parentElement.querySelector('h2')?.textContent)"""
    )
    assert cut == []
    assert page.evaluate(chromium.FAINT_TEXTS) == []
    assert seen.problems == []


def test_light_and_dark_differ(visit, dashboard):
    colours = {
        scheme: visit(color_scheme=scheme)
        .open(dashboard)
        .evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert colours["light"] != colours["dark"]


def test_a_hostile_name_is_text_and_nothing_else(visit, dashboard):
    seen = visit()
    page = seen.open(dashboard)
    assert page.get_by_role("rowheader", name=HOSTILE).first.is_visible()
    assert page.locator("img").count() == 0
    assert page.title() == "Spend: ledger.db"
    assert seen.problems == []


def test_nothing_is_fetched_from_elsewhere_and_the_token_is_gone_after_the_login(visit, dashboard):
    seen = visit()
    page = seen.open(dashboard)
    assert page.url == dashboard.url
    assert all(address.startswith(dashboard.url) for address in seen.requested)
    assert [address for address in seen.requested if TOKEN in address] == [dashboard.login_url]
    assert TOKEN not in page.content()
    assert page.evaluate("document.cookie") == ""


def test_the_policy_stops_a_script_that_got_in_all_the_same(visit, dashboard):
    page = visit().open(dashboard)
    page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = "document.title = 'owned'";
            document.body.append(s); document.body.setAttribute('onclick', "document.title = 'owned'");
            document.body.click(); }"""
    )
    assert page.title() == "Spend: ledger.db"


def test_new_calls_appear_by_themselves_unless_updates_are_paused(visit, dashboard, ledger):
    seen = visit()
    seen.page.clock.install()
    page = seen.open(dashboard)
    today = page.locator("#figures dd").first
    before = today.inner_text()
    pause = page.get_by_role("button", name="Pause updates")
    pause.focus()
    page.keyboard.press("Space")
    assert pause.get_attribute("aria-pressed") == "true"
    ledger.record(spend(cost="1000", at=NOW))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert today.inner_text() == before
    assert asked == []
    page.keyboard.press("Enter")
    page.wait_for_function(
        "text => document.querySelector('#figures dd').innerText.includes(text)", arg="$1,0"
    )
    assert page.evaluate("document.activeElement.id") == "pause"
    ledger.record(spend(cost="5000", at=NOW))
    while "$6,0" not in today.inner_text():
        page.clock.run_for(2_000)


def test_a_keyboard_reaches_everything_that_can_be_used(visit, dashboard):
    page = visit().open(dashboard)
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.textContent.trim() || document.activeElement.tagName")
        )
    assert reached[:3] == ["Skip to the figures", "Pause updates", "The days as a table"]
    page.get_by_text("The days as a table").focus()
    page.keyboard.press("Enter")
    days = page.get_by_role("table", name="By day")
    assert days.is_visible()
    assert days.get_by_role("row").count() == 32


def test_a_screen_reader_is_told_what_the_eye_sees(visit, dashboard):
    page = visit().open(dashboard)
    assert page.get_by_role("heading", level=1).inner_text() == "Spend ledger.db"
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert headings == [
        "By day",
        "Budgets",
        "Models this month",
        "Features this month",
        "Projects this month",
        "Avoided this month, by what",
        "Users this month",
    ]
    chart = page.get_by_role("img")
    assert "Cost of 31 days, Oct 22 to Nov 21. Most on" in chart.get_attribute("aria-label")
    for table in page.get_by_role("table").all():
        assert table.get_attribute("aria-labelledby")
        assert table.locator("thead th[scope=col]").count() >= 4
        assert table.locator("tbody tr").count() == table.locator("tbody th[scope=row]").count() > 0
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.get_by_role("main").count() == 1


def test_who_lost_the_dashboard_is_told_and_sees_the_last_figures(visit, ledger):
    dashboard = Dashboard(ledger, clock=lambda: NOW, refresh_s=0.05)
    with dashboard:
        page = visit().open(dashboard)
        shown = page.locator("#figures").inner_text()
    page.get_by_text("The dashboard does not answer").wait_for()
    assert page.locator("#figures").inner_text() == shown


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_the_login_takes_the_token_and_no_other(visit, dashboard, size):
    page = visit(size=size).page
    page.goto(dashboard.url)
    assert "$" not in page.inner_text("body")
    field = page.get_by_label("Token of this dashboard")
    field.fill("wrong-but-long-enough")
    page.keyboard.press("Enter")
    assert page.get_by_role("alert").inner_text() == "That is not the token."
    page.get_by_label("Token of this dashboard").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    page.wait_for_selector("main[data-ready=all]")
    assert page.url == dashboard.url
