"""In traffic whose wastes are known the audit finds every one of them, and none where there is none."""

import pytest

from tokenomics_core.traffic import WastePlan, audit_traffic, generate_traffic

CALLS = 2_500
KINDS = sorted(WastePlan.all().shares())


@pytest.fixture(scope="module")
def wasteful():
    traffic = generate_traffic(CALLS, seed=11, days=4)
    return audit_traffic(traffic), traffic.truth


@pytest.mark.parametrize("kind", KINDS)
def test_every_planted_kind_is_found_within_five_percent(wasteful, kind):
    audit, truth = wasteful
    planted, found = truth.wastes[kind], audit.waste(kind)
    assert planted.usd > 0
    assert float(found.usd) == pytest.approx(float(planted.usd), rel=0.05)
    assert found.calls == pytest.approx(planted.calls, rel=0.05)


def test_the_bill_is_that_of_the_calls(wasteful):
    audit, truth = wasteful
    assert (audit.rows, audit.total_usd) == (CALLS, truth.total_usd)
    assert audit.span_days == pytest.approx(truth.span_days)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "batchable"])
def test_one_kind_alone_is_taken_for_no_other(kind):
    traffic = generate_traffic(400, seed=12, days=2, waste=WastePlan.only(kind))
    assert {found.kind for found in audit_traffic(traffic).wastes} <= {kind}


@pytest.mark.parametrize("seed", [13, 14])
def test_traffic_without_waste_is_left_in_peace(seed):
    audit = audit_traffic(generate_traffic(CALLS, seed=seed, days=4, waste=WastePlan.none()))
    assert audit.wastes == ()
    assert audit.avoidable_usd == 0
