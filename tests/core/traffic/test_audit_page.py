"""The page of an audit says what was found, whatever names a log holds, and can do no harm."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.traffic.audits import audit, empty_audit, finding, line, unpriced_audit
from tokenomics_core.traffic import audit_traffic, generate_traffic
from tokenomics_core.traffic._audit_page import audit_page

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title><script>alert(1)</script>",
    "</style><style>*{display:none}",
    "<!--",
    "]]>",
    "&lt;script&gt;",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "\x00\x1b[31m",
    "{{constructor.constructor('alert(1)')()}}",
    "</svg><svg onload=alert(1)>",
    "\ud800",
)
NAMES = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60), st.text("<>&\"'/=", max_size=20))


class Skeleton(HTMLParser):
    """Elements, the names of their attributes, and the values of those that could act."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements, self.texts = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        names = sorted(name for name, _ in attributes if name != "title")
        self.elements.append((tag, *names))

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.elements.append(("comment", data))


def hostile_audit(name):
    found = audit(name)
    waste = finding(title=name, fix=name, why=name, examples=(name,), by_feature={name or "x": Decimal(1)})
    return replace(
        found,
        wastes=(waste,),
        problems=(name,),
        notes=(name,),
        bad=1,
        unpriced_calls=1,
        unpriced_models={name or "x": 1},
    )


def skeleton(name):
    return [
        element
        for element in Skeleton(audit_page(hostile_audit(name))).elements
        if element != ("bdi",)  # empty names are named by us
    ]


@settings(max_examples=60)
@given(NAMES)
def test_no_name_of_a_log_changes_what_the_page_is_made_of(name):
    assert skeleton(name) == skeleton("model")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_as_text(name):
    page = audit_page(hostile_audit(name))
    assert page.count("<script>") == 1
    assert page.count("<style>") == 1
    elements = Skeleton(page).elements
    assert not any(attribute.startswith("on") for _, *attributes in elements for attribute in attributes)
    assert not {"img", "iframe", "comment", "link", "object"} & {tag for tag, *_ in elements}
    page.encode()  # half of a pair of surrogates would not be written


def test_the_policy_admits_only_the_script_and_the_style_of_the_page():
    page = audit_page(audit())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for element in ("script", "style"):
        source = re.search(rf"<{element}>(.*?)</{element}>", page, re.DOTALL).group(1)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy


def test_nothing_is_loaded_and_nothing_is_styled_inline():
    page = audit_page(audit())
    body = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)
    assert "http://" not in body
    assert "https://" not in body
    assert not re.search(r'\s(src|style)="', body)
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', body))
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", page)


def test_ids_are_unique_and_every_reference_finds_its_own():
    page = audit_page(audit(users=40))
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    wanted = {name for value in re.findall(r'aria-labelledby="([^"]*)"', page) for name in value.split()}
    wanted |= set(re.findall(r'href="#([^"]*)"', page)) | set(re.findall(r"url\(#([\w-]+)\)", page))
    assert wanted <= set(ids)


def test_headings_go_down_one_step_at_a_time():
    levels = [int(level) for level in re.findall(r"<h([1-6])", audit_page(audit()))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_chart_has_a_name_axes_and_a_table_behind_it():
    page = audit_page(audit())
    charts = re.findall(r'<svg class="chart wide".*?</svg>', page, re.DOTALL)
    assert len(charts) == 7
    for chart in charts:
        assert re.search(r"<title id=[^>]*>[^<]+</title><desc id=[^>]*>[^<]+</desc>", chart)
        assert 'class="axis"' in chart
        assert 'class="title"' in chart
        assert chart.count('class="tick"') >= 2
    assert page.count("<figure>") == 7
    for figure in page.split("<figure>")[1:]:
        assert "<table" in figure.split("<h3")[0].split("<article")[0]


def test_tables_have_captions_and_scopes():
    page = audit_page(audit())
    for table in re.findall(r"<table.*?</table>", page, re.DOTALL):
        assert re.search(r"<caption[^>]*>[^<]+</caption>", table)
        assert "<th>" not in table
        rows = re.findall(r"<tr[ >].*?</tr>", table.split("<tbody>")[1], re.DOTALL)
        assert all('scope="row"' in row for row in rows)


def test_figures_and_fixes_are_on_the_page():
    texts = " ".join(Skeleton(audit_page(audit())).texts)
    for wanted in (
        *("$12.50", "$125.00", "$25.00", "20%", "1,000", "The same request again", "They are equal."),
        *("set_llm_cache(SemanticCache", "log.jsonl:7", "Easy questions", "80% on average", "no feature"),
    ):
        assert wanted in texts, wanted


def test_an_empty_log_says_so():
    page = audit_page(empty_audit())
    assert "The log holds no calls." in page
    assert "<svg" not in page


def test_clean_traffic_says_that_nothing_was_found():
    page = audit_page(audit(wastes=()))
    assert "None of the nine kinds of waste was found." in page
    assert "<article" not in page


def test_calls_without_a_price_are_no_calls_for_nothing():
    page = audit_page(unpriced_audit())
    texts = " ".join(Skeleton(page).texts)
    assert "Without a known cost, in no sum: 40 calls" in texts
    assert "in-house-7b (40)" in texts
    assert "$0" not in texts
    assert texts.count("unpriced") >= 4
    assert "None of the nine kinds" not in texts
    assert "<figure>" not in page
    assert page.count("<details open>") == 3


def test_many_users_are_the_first_and_a_rest():
    users = [line(f"user-{number:05d}", str(20_000 - number), share=1e-4) for number in range(10_000)]
    found = audit()
    page = audit_page(replace(found, lines={**found.lines, "user": tuple(users)}), top=20)
    table = re.search(r'<table data-sort id="user-table">.*?</table>', page, re.DOTALL).group()
    assert table.count("<tr") == 1 + 20 + 1 + 1
    assert "9,980 more" in table
    assert "Not drawn: 9,990 more" in page
    total = sum(user.usd for user in users)
    assert f'data-v="{total}"' in table
    assert len(page) < 200_000


def test_a_rest_that_the_audit_made_is_added_to_the_pages_own():
    users = [line(f"user-{number:05d}", "2", calls=1) for number in range(30)]
    users.append(line(None, "40", calls=500, rest=500))
    found = audit()
    page = audit_page(replace(found, lines={**found.lines, "user": tuple(users)}), top=20)
    table = re.search(r'<table data-sort id="user-table">.*?</table>', page, re.DOTALL).group()
    assert "510 more" in table
    assert 'data-v="60"' in table


def test_long_names_are_cut_in_the_middle_and_told_in_full():
    name = "azure/eastus2/deployments/" + "gpt-4.1-mini-" * 12 + "final"
    page = audit_page(audit(name))
    assert f'title="{name}"' in page
    assert "final</bdi>" in page


@pytest.mark.parametrize(("days", "name"), [(30, "By day"), (200, "By week"), (2000, "By month")])
def test_long_logs_are_summed_so_that_the_columns_can_be_seen(days, name):
    page = audit_page(audit(days=days))
    assert name in page
    chart = re.search(r'<svg class="chart wide"[^>]*by-day-wide-title.*?</svg>', page, re.DOTALL).group()
    assert chart.count("<g>") <= 70
    table = re.search(r'<table data-sort id="day-table">.*?</table>', page, re.DOTALL).group()
    shown = sum(Decimal(amount) for amount in re.findall(r'data-v="([\d.]+)">\$', table)[::2])
    assert shown == sum(1 + number % 7 for number in range(days))


def test_a_waste_that_saves_nothing_is_listed_and_not_drawn():
    page = audit_page(audit(wastes=(finding(usd="0"),)))
    assert "The same request again" in page
    assert 'id="wastes-wide-title"' not in page


def test_a_negative_saving_is_no_bar_to_the_left():
    page = audit_page(audit(wastes=(finding(), finding("retries", "-1"))))
    assert 'width="-' not in page


def test_a_real_audit_is_drawn():
    page = audit_page(audit_traffic(generate_traffic(800, seed=4)))
    assert page.count("<article") >= 6
    assert 'aria-label="On this page"' in page
