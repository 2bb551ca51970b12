"""The page of an audit works in a real browser: on a phone and a desk, by keyboard, and read aloud."""

from __future__ import annotations

import pytest

from tests import chromium
from tests.core.traffic.audits import audit, empty_audit, finding, unpriced_audit
from tokenomics_core.traffic import audit_traffic, generate_traffic
from tokenomics_core.traffic._audit_page import audit_page

PHONE, DESK = (390, 844), (1280, 900)
LONG = "azure/eastus2/deployments/" + "gpt-4.1-mini-" * 12 + "final"
UNBROKEN = "x" * 400

CONTROLS = "a[href], button, summary, [tabindex='0']"


@pytest.fixture(scope="module")
def browser():
    with chromium.browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages by name, as files."""
    folder = tmp_path_factory.mktemp("pages")
    found = {
        "real": audit_traffic(generate_traffic(1200, seed=5)),
        "long names": audit(
            LONG, wastes=(finding(fix=f"use({LONG!r})", why=UNBROKEN, examples=(UNBROKEN,)),)
        ),
        "hostile": audit("</title><script>document.title='taken'</script><img src=x onerror=alert(1)>"),
        "many users": audit(users=10_000, days=400),
        "one row": audit(users=1, days=1, wastes=()),
        "no rows": empty_audit(),
        "unpriced": unpriced_audit(),
    }
    paths = {}
    for name, value in found.items():
        paths[name] = folder / f"{name.replace(' ', '-')}.html"
        paths[name].write_text(audit_page(value), encoding="utf-8")
    return {name: path.as_uri() for name, path in paths.items()}


@pytest.fixture
def show(browser, pages):
    """Open a page; its console and its requests are in `page.seen`."""
    opened = []

    def show_page(name, size=DESK, **options):
        width, height = size
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        opened.append(page)
        page.seen = chromium.Seen(page)
        page.goto(pages[name])
        return page

    yield show_page
    for page in opened:
        page.close()


NAMES = ("real", "long names", "hostile", "many users", "one row", "no rows", "unpriced")


@pytest.mark.parametrize("name", NAMES)
def test_no_page_scrolls_sideways_or_asks_or_logs_anything(show, name):
    page = show(name)
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    for width, height in (DESK, (800, 600), PHONE, (320, 600)):
        page.set_viewport_size({"width": width, "height": height})
        wide, room = page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= room, width
    assert page.seen.messages == []
    assert all(url.startswith("file:") for url in page.seen.requests)
    assert len(page.seen.requests) == 1
    assert "What these calls cost" in page.title()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["real", "unpriced", "no rows"])
def test_every_text_stands_out(show, name, scheme):
    page = show(name, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert page.evaluate(chromium.FAINT_TEXTS) == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_the_measure_of_contrast_finds_what_is_faint(show):
    page = show("one row")
    page.evaluate("document.querySelector('h1').style.color = '#999'")
    assert len(page.evaluate(chromium.FAINT_TEXTS)) == 1


def test_the_tab_key_reaches_every_control_in_order_and_shows_where_it_is(show):
    page = show("real", PHONE)
    wanted = page.evaluate(
        f"""[...document.querySelectorAll("{CONTROLS}")].filter((element) => element.checkVisibility())
        .map((element, number) => element.dataset.number = number)"""
    )
    reached = []
    for _ in range(len(wanted) + 1):
        page.keyboard.press("Tab")
        number, outline = page.evaluate(
            "[document.activeElement.dataset.number, getComputedStyle(document.activeElement).outlineStyle]"
        )
        if number is None:
            break
        reached.append(int(number))
        assert outline == "solid", number
    assert reached == sorted(reached)
    assert reached == [int(number) for number in wanted]
    assert len(reached) > 30


def test_the_first_control_skips_to_the_findings(show):
    page = show("real")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the findings"
    box = page.evaluate("document.activeElement.getBoundingClientRect().top")
    assert box >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_details_open_by_keyboard_and_hold_a_table(show):
    page = show("real")
    summary = page.locator("summary", has_text="Table: cost by model")
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("#model-table").is_visible()
    assert page.locator("#model-table tbody tr").count() == 4


def column(page, table, number):
    return page.locator(f"#{table} tbody tr").evaluate_all(
        f"rows => rows.map(row => row.cells[{number}].dataset.v ?? row.cells[{number}].textContent)"
    )


def test_sorting_works_and_says_so(show):
    page = show("real")
    head = page.locator("#waste-table thead th").nth(3)
    assert page.locator("#waste-table thead th").nth(1).get_attribute("aria-sort") == "descending"
    before = [float(value) for value in column(page, "waste-table", 1)]
    assert before == sorted(before, reverse=True)

    head.get_by_role("button").click()
    calls = [float(value) for value in column(page, "waste-table", 3)]
    assert calls == sorted(calls, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("#waste-table th[aria-sort]").count() == 1
    assert page.locator("#status").text_content() == "sorted by Calls, largest first"

    head.get_by_role("button").press("Enter")
    calls = [float(value) for value in column(page, "waste-table", 3)]
    assert calls == sorted(calls)
    assert head.get_attribute("aria-sort") == "ascending"

    page.locator("#waste-table thead th").first.get_by_role("button").press("Space")
    names = column(page, "waste-table", 0)
    assert names == sorted(names, key=str.casefold)


def test_the_rest_stays_last_and_the_total_stays_below(show):
    page = show("many users")
    page.locator("summary", has_text="Table: cost by user").click()
    for presses in range(2):
        page.locator("#user-table thead th").nth(1).get_by_role("button").click()
        assert column(page, "user-table", 0)[-1] == "9,980 more", presses
    assert page.locator("#user-table tfoot th").text_content() == "All"


def test_a_fix_can_be_copied(show, browser):
    page = show("real")
    button = page.get_by_role("button", name="Copy: The same request again")
    button.click()
    page.wait_for_function("document.querySelector('#status').textContent !== ''")
    told = page.locator("#status").text_content()
    if told != "Copied":  # where a browser lets no page write to the clipboard, the text is selected
        assert "SemanticCache" in page.evaluate("getSelection().toString()")


def test_without_a_script_everything_is_there(show):
    page = show("real", java_script_enabled=False)
    assert page.locator("button").count() == 0
    assert page.get_by_role("heading", name="Where the money goes").is_visible()
    page.locator("summary", has_text="Table: cost by feature").click()
    assert page.locator("#feature-table").is_visible()
    assert page.locator("pre code").count() >= 6


def test_what_is_read_aloud_has_names_and_roles(show):
    page = show("real")
    for role, name in (
        ("banner", None),
        ("main", None),
        ("contentinfo", None),
        ("navigation", "On this page"),
        ("region", "Waste"),
        ("region", "Where the money goes"),
        ("img", "Waste by kind"),
        ("img", "Cost by model"),
        ("img", "Cost by hour of the day"),
        ("table", "Waste by kind, in USD"),
        ("columnheader", "A month"),
        ("rowheader", "The same request again"),
        ("article", "The same request again"),
        ("button", "Calls"),
        ("status", None),
    ):
        found = page.get_by_role(role, name=name) if name else page.get_by_role(role)
        assert found.count() >= 1, (role, name)
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("img", name="Waste by kind").count() == 1  # of the two drawings, the one shown


@pytest.mark.parametrize("name", ["real", "unpriced", "no rows"])
def test_axe_finds_no_fault(show, name):
    page = show(name, PHONE, bypass_csp=True)  # the policy would keep axe out as well
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert chromium.accessibility_faults(page) == []


def test_axe_finds_a_fault_that_is_there(show):
    page = show("no rows", bypass_csp=True)
    page.evaluate("document.querySelector('html').removeAttribute('lang')")
    assert any(fault.startswith("html-has-lang") for fault in chromium.accessibility_faults(page))


def test_charts_are_drawn_for_the_screen_and_their_letters_can_be_read(show):
    page = show("real")
    for (width, height), shown in ((PHONE, "narrow"), (DESK, "wide")):
        page.set_viewport_size({"width": width, "height": height})
        charts = page.locator("svg.chart:visible")
        assert charts.count() == 7
        assert page.locator(f"svg.chart.{shown}:visible").count() == 7
        scale = charts.first.evaluate("svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width")
        assert scale * 12 >= 11


TROUBLE = """() => [...document.querySelectorAll("svg.chart")].filter(svg => svg.checkVisibility())
.flatMap((svg) => {
  const frame = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll("text")]
    .map(text => [text.textContent, text.getBoundingClientRect()]);
  const out = boxes.filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1
    || box.bottom > frame.bottom + 1).map(([text]) => `out: ${text}`);
  const over = boxes.flatMap(([text, box], place) => boxes.slice(place + 1)
    .filter(([, other]) => box.left < other.right - 1 && other.left < box.right - 1
      && box.top < other.bottom - 3 && other.top < box.bottom - 3)
    .map(([other]) => `over: ${text} / ${other}`));
  return [...out, ...over];
})"""


@pytest.mark.parametrize("name", ["real", "long names", "many users"])
def test_no_letter_of_a_chart_leaves_it_or_covers_another(show, name):
    page = show(name)
    for width, height in (PHONE, DESK):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(TROUBLE) == []
