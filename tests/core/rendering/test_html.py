"""What is drawn as HTML is well-formed, inert, and readable without seeing it."""

# ruff: noqa: RUF001 - the dash and the minus sign are what is drawn

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.rendering.tables import small_table, tables
from tokenomics_core.rendering import Cell, Column, Figure, Group, Notice, Row, Table, to_html

ALLOWED = {"div", "style", "bdi", "dl", "dt", "dd", "small", "table", "caption", "thead", "tbody", "tfoot"}
ALLOWED |= {"tr", "th", "td", "span", "i", "ul", "li"}
ATTRIBUTES = {"class", "style", "title", "scope", "colspan", "role", "aria-label"}

hostile = st.one_of(
    st.text(),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "</style><img src=x onerror=alert(1)>",
            "\"' onmouseover='alert(1)",
            "&lt;b&gt;&amp;",
            "]]>",
            "\x00\x1b[31m\ud800\ufffe",
            "\u202egnp.exe",
        ]
    ),
)


class _Reader(HTMLParser):
    """Collect what a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


def _tree(table: Table) -> ET.Element:
    return ET.fromstring(to_html(table))


def _all_text(table: Table) -> str:
    return "".join(_tree(table).itertext())


@settings(deadline=None)
@given(tables())
def test_any_table_is_one_well_formed_element_of_known_parts(table):
    root = _tree(table)
    assert {element.tag for element in root.iter()} <= ALLOWED
    assert {name for element in root.iter() for name in element.attrib} <= ATTRIBUTES


@settings(deadline=None)
@given(hostile.map(lambda text: f"x{text}"))
def test_text_stays_text_wherever_it_stands(text):
    def cell(kind: str) -> Cell:
        return Cell(text, note=text, hint=text)

    table = Table(
        title=text,
        subtitle=text,
        figures=(Figure(text, cell("text")),),
        columns=(Column(title=text), Column(title=text, kind="count"), Column(title=text, kind="money")),
        groups=(Group(text, (Row((cell("text"), cell("count"), cell("money"))),)),),
        footer=Row((cell("text"), cell("count"), cell("money"))),
        notices=(Notice(text),),
    )
    harmless = Table(
        title="x",
        subtitle="x",
        figures=(Figure("x", Cell("x", note="x", hint="x")),),
        columns=(Column(title="x"), Column(title="x", kind="count"), Column(title="x", kind="money")),
        groups=(Group("x", (Row(tuple(Cell("x", note="x", hint="x") for _ in range(3))),)),),
        footer=Row(tuple(Cell("x", note="x", hint="x") for _ in range(3))),
        notices=(Notice("x"),),
    )
    seen, expected = _Reader(to_html(table)), _Reader(to_html(harmless))
    assert [tag for tag, _ in seen.elements] == [tag for tag, _ in expected.elements]
    for (_, attributes), (_, wanted) in zip(seen.elements, expected.elements, strict=True):
        assert set(attributes) == set(wanted)


@settings(deadline=None)
@given(hostile)
def test_a_page_can_be_stored_and_holds_no_control_codes(text):
    page = to_html(Table(title=text, columns=(Column(title=""),)))
    assert page.encode().decode() == page
    assert not re.search("[\x00-\x08\x0b-\x1f\ud800-\udfff\u202a-\u202e\u2066-\u2069]", page)


def test_nothing_is_loaded_and_nothing_runs():
    page = to_html(small_table())
    assert not re.search(r"<script|https?:|url\(|@import|\son\w+=", page)


def test_no_style_reaches_beyond_the_table():
    style = _tree(small_table()).find("style")
    assert style is not None
    assert style.text is not None
    flat = re.sub(r"@(media|container)[^{]*\{((?:[^{}]*\{[^{}]*\})*)\}", r"\2", style.text)
    selectors = [part for rule in re.findall(r"([^{}]+)\{", flat) for part in rule.split(",") if part.strip()]
    assert len(selectors) > 40
    assert all(".tokenomics" in selector for selector in selectors)


def test_light_and_dark_come_from_the_notebook_first_and_the_system_else():
    page = to_html(small_table())
    assert "var(--jp-layout-color0," in page
    assert "@media (prefers-color-scheme:dark){.tokenomics{" in page
    assert 'body[data-jp-theme-light="false"] .tokenomics' in page


def test_headings_tell_what_they_head():
    root = _tree(small_table())
    head = root.findall(".//thead/tr/th")
    assert ["".join(th.itertext()) for th in head] == ["Model", "Calls", "Cost", "Share", "Bar"]
    assert {th.get("scope") for th in head} == {"col"}
    rows = root.findall(".//tbody/tr") + root.findall(".//tfoot/tr")
    scopes = [row[0].get("scope") for row in rows]
    assert [row[0].tag for row in rows] == ["th"] * len(rows)
    assert scopes == ["row", "row", "rowgroup", "row", "row"]
    group = root.find(".//th[@scope='rowgroup']")
    assert group is not None
    assert (group.text, group.get("colspan")) == ("User", "5")
    assert root.findtext(".//caption") == "Spending"


def test_every_row_has_a_cell_per_column():
    root = _tree(small_table())
    rows = [row for row in root.findall(".//tr") if row[0].get("scope") != "rowgroup"]
    assert {len(row) for row in rows} == {5}


def test_a_bar_is_as_long_as_its_share_and_says_so():
    bar = _tree(small_table()).find(".//div[@role='img']")
    assert bar is not None
    assert bar.get("aria-label") == "60% spent"
    assert [part.get("style") for part in bar] == ["width:60.00%", "width:30.00%"]
    assert ["tk-hatched" in part.get("class", "") for part in bar] == [False, True]


def test_an_unknown_price_is_red_and_never_a_number():
    row = _tree(small_table()).findall(".//tbody")[0][1]
    cost = row[2]
    assert "".join(cost.itertext()) == "unpriced"
    assert "tk-error" in cost.get("class", "")
    assert "".join(row[1].itertext()) == "–"


def test_an_amount_can_be_read_to_its_last_digit():
    costs = _tree(small_table()).findall(".//tbody/tr/td[2]")
    assert [cost.get("title") for cost in costs] == ["12.3456 USD", None, "0.000042 USD"]


def test_decimal_points_stand_below_one_another():
    boxes = _tree(small_table()).findall(".//table//span[@class='tk-decimals']")
    assert [box.text for box in boxes] == [".35", ".000042", ".35"]
    assert {box.get("style") for box in boxes} == {"width:7ch"}


def test_a_long_name_is_shortened_and_shown_whole_on_demand():
    name = "accounts/acme/models/" + "x" * 60 + "-v2"
    root = _tree(Table(title="", columns=(Column(title=""),), groups=(Group("g", (Row((Cell(name),)),)),)))
    cell = root.find(".//th[@scope='row']")
    assert cell is not None
    shown = "".join(cell.itertext())
    assert len(shown) <= 40
    assert shown.startswith("accounts/acme")
    assert shown.endswith("-v2")
    assert cell.get("title") == name


def test_a_table_without_rows_is_only_its_heading_and_notices():
    table = Table(title="Nothing", columns=(Column(title=""),), notices=(Notice("no calls yet"),))
    assert _tree(table).find(".//table") is None
    assert "no calls yet" in _all_text(table)
