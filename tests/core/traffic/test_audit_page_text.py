"""An audit in a terminal: ranked wastes with what ends them, then where the money went."""

from __future__ import annotations

from dataclasses import replace

from tests.core.traffic.audits import audit, empty_audit, line, unpriced_audit
from tokenomics_core.rendering import to_text
from tokenomics_core.traffic._audit_text import audit_tables, cut_lines


def texts(found, width=None, **more):
    return [to_text(table, width) for table in audit_tables(found, **more)]


def test_wastes_come_with_a_month_a_confidence_and_a_fix():
    wastes, _ = texts(audit())
    assert "Spent $12.50" in wastes
    assert "Avoidable a month $25.00 (20%)" in wastes
    row = next(text for text in wastes.splitlines() if text.startswith("The same request again"))
    assert row.split()[4:8] == ["7", "$2.00", "$6.00", "high"]
    assert "low, 80%" in wastes
    assert 'The same request again: set_llm_cache(SemanticCache(path="cache.db"))' in wastes
    assert "counts its dollars once" in wastes


def test_money_is_grouped_by_what_the_log_tells():
    _, money = texts(audit())
    for heading in ("Model", "Feature", "User", "Prompt template", "Hour (UTC)"):
        assert heading in money
    assert "no feature" in money
    assert money.index("06:00") < money.index("19:00")


def test_groups_beyond_the_top_are_one_line():
    _, money = texts(audit(users=25), top=5)
    assert "20 more" in money


def test_a_rest_of_a_rest_counts_every_group():
    lines = [line(f"u{number}", "1") for number in range(5)] + [line(None, "7", rest=9)]
    kept = cut_lines(lines, 3)
    assert [one.rest for one in kept] == [0, 0, 0, 11]
    assert kept[-1].usd == 9
    assert cut_lines(lines, 5) == lines


def test_nothing_found_and_nothing_read_are_said():
    assert "None of the nine kinds" in texts(audit(wastes=()))[0]
    assert "holds no calls" in texts(empty_audit())[0]


def test_unpriced_is_not_zero():
    wastes, money = texts(unpriced_audit())
    assert "Spent unpriced" in wastes
    assert "Without a known cost, in no sum: 40 calls" in wastes
    assert "no waste can be told" in wastes
    assert "$0" not in wastes + money


def test_bad_lines_are_counted_and_the_first_quoted():
    found = replace(audit(), bad=3, problems=("log.jsonl:3: no JSON",))
    wastes, _ = texts(found)
    assert "3 lines could not be read" in wastes
    assert "log.jsonl:3: no JSON" in wastes


def test_narrow_terminals_keep_name_and_month():
    wastes, money = texts(audit(), width=44)
    assert max(map(len, (wastes + "\n" + money).splitlines())) <= 44
    assert "$6.00" in wastes
