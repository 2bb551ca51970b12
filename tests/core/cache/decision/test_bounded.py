"""Wrong answers stay under the bound on streams whose truth is known, whatever the verifier thinks."""

from __future__ import annotations

import json
import random
import threading

import pytest

from tokenomics_core.cache import BoundedError, Neighbour, Verifier
from tokenomics_core.cache._pair import compare
from tokenomics_core.cache._question import analyze
from tokenomics_core.cache._verifier import Judgement
from tokenomics_core.errors import ConfigurationError

PAIR = compare(analyze("where is my parcel"), analyze("Where is my parcel?"))


class Oracle(Verifier):
    """Says of a neighbour what its similarity is, and nothing else."""

    def judge(self, question, neighbours, *, background=None):
        return Judgement(neighbours[0].similarity, PAIR, frozenset())


def stream(policy, seed, *, n=2_500, truth=lambda p: p, noise=0.0, namespace="n", exact=0.0):
    """Drive a policy over requests of known chances; return the shares that are served and wrong."""
    rng = random.Random(seed)
    served = wrong = 0
    for number in range(n):
        if rng.random() < exact:
            policy.count_exact(namespace)
            continue
        p = 1 - rng.random() ** 2
        right = rng.random() < truth(p)
        group = f"g{rng.randrange(1_000)}"
        decision = policy.decide(
            namespace, "where is my parcel", [Neighbour(str(number), p, "where is it", group)]
        )
        if decision.serve:
            served += 1
            wrong += not right
        else:
            policy.learn(namespace, decision, {group: right != (rng.random() < noise)})
    return served / n, wrong / n


@pytest.mark.parametrize("max_error", [0.02, 0.05])
def test_the_bound_holds_in_nearly_all_runs(max_error):
    runs = [stream(BoundedError(max_error, verifier=Oracle(), seed=s), s) for s in range(10)]
    assert sum(wrong <= max_error for _, wrong in runs) >= 0.95 * len(runs)
    assert min(served for served, _ in runs) > 0.1


def test_the_bound_holds_where_the_verifier_is_too_sure():
    runs = [
        stream(BoundedError(0.05, verifier=Oracle(), seed=s), s, truth=lambda p: 0.9 * p, n=4_000)
        for s in range(6)
    ]
    assert all(wrong <= 0.05 for _, wrong in runs)


def test_the_bound_holds_with_a_tenth_of_the_labels_wrong():
    runs = [stream(BoundedError(0.02, verifier=Oracle(), seed=s), s, noise=0.1) for s in range(8)]
    assert sum(wrong <= 0.02 for _, wrong in runs) >= 0.95 * len(runs)


def test_it_learns_to_serve_what_the_verifier_did_not_dare():
    timid, bold = BoundedError(0.05, verifier=Oracle()), BoundedError(0.05, verifier=Oracle())
    assert stream(timid, 1)[0] < stream(bold, 1, truth=lambda p: min(1.0, p + 0.3))[0]


def test_exact_hits_leave_room_for_more():
    alone, among = BoundedError(0.02, verifier=Oracle()), BoundedError(0.02, verifier=Oracle())
    stream(alone, 3, n=6_000)
    stream(among, 3, n=6_000, exact=0.6)
    assert among.report("n").threshold < alone.report("n").threshold
    assert among.report("n").requests == 6_000


def test_what_is_mostly_wrong_is_not_served_however_much_room_exact_hits_leave():
    policy, rng = BoundedError(0.05, verifier=Oracle()), random.Random(3)
    for number in range(8_000):
        if rng.random() < 0.97:
            policy.count_exact("n")
            continue
        p = rng.uniform(0.0, 0.7)
        decision = policy.decide("n", "where is my parcel", [Neighbour(str(number), p, "where is it", "g")])
        assert not decision.serve
        policy.learn("n", decision, {"g": rng.random() < p})
    assert policy.report("n").labels > 100


def test_after_a_drift_it_serves_less_and_keeps_the_bound():
    policy = BoundedError(0.05, verifier=Oracle())
    stream(policy, 5, n=3_000)
    served_before = policy.report("n").served
    served, wrong = stream(policy, 6, n=3_000, truth=lambda p: p * p * 0.6)
    assert served < 0.3 * served_before / 3_000
    assert wrong < 0.05


def test_without_outcomes_it_keeps_to_the_verifier_s_threshold():
    verifier = Oracle()
    policy, asked = BoundedError(0.02, verifier=verifier), verifier.threshold(0.02)
    for step in range(1_000):
        p = step / 1_000
        decision = policy.decide("n", "q", [Neighbour("e", p, "q", "g")])
        assert decision.serve == (p >= asked)
    assert policy.report("n").error is None


def test_it_asks_anew_for_a_share_of_what_it_would_serve():
    policy = BoundedError(0.05, explore=0.1, verifier=Oracle())
    stream(policy, 2, n=1_200)
    reasons = [policy.decide("n", "q", [Neighbour("e", 0.9999, "q", "g")]).reason for _ in range(2_000)]
    assert 0.07 < reasons.count("explore") / len(reasons) < 0.13
    assert set(reasons) == {"explore", "verified"}
    untold, never = BoundedError(0.05, explore=0.1, verifier=Oracle()), BoundedError(0.05, explore=0.0)
    assert all(untold.decide("n", "q", [Neighbour("e", 0.9999, "q", "g")]).serve for _ in range(500))
    assert all(never.decide("n", "q", [Neighbour("e", 0.9999, "q", "g")]).serve for _ in range(500))


def test_what_was_learned_comes_back_and_decides_alike():
    policy = BoundedError(0.05, verifier=Oracle(), seed=4)
    stream(policy, 8)
    other = BoundedError(0.05, verifier=Oracle(), seed=4)
    assert other.restore("n", policy.state("n"))
    assert other.state("n") == policy.state("n")
    assert other.report("n") == policy.report("n")
    rng = random.Random(9)
    for _ in range(500):
        near = [Neighbour("e", rng.random(), "where is it", "g")]
        one, two = policy.decide("n", "q", near), other.decide("n", "q", near)
        assert (one.serve, one.reason, one.probability) == (two.serve, two.reason, two.probability)


def test_a_restored_policy_goes_on_learning_within_the_bound():
    policy = BoundedError(0.05, verifier=Oracle())
    stream(policy, 10)
    other = BoundedError(0.05, verifier=Oracle())
    assert other.restore("n", policy.state("n"))
    assert stream(other, 11)[1] <= 0.05


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values["experience"].pop("weights"),
        lambda values: values["experience"].update(weights=[1.0]),
        lambda values: values["experience"].update(rows="zz"),
        lambda values: values["experience"].update(threshold=10_000),
        lambda values: values["experience"].update(bound=[1]),
        lambda values: values.update(background=[0.1]),
        lambda values: values.update(policy="bounded-error/0"),
    ],
)
def test_a_damaged_or_foreign_state_changes_nothing(damage):
    policy = BoundedError(0.05, verifier=Oracle())
    stream(policy, 12, n=300)
    values = json.loads(policy.state("n"))
    damage(values)
    other = BoundedError(0.05, verifier=Oracle())
    assert not other.restore("n", json.dumps(values).encode()) or values["background"] == [0.1]
    if values["background"] != [0.1]:
        assert other.namespaces() == []


def test_state_fits_in_a_few_kilobytes():
    policy = BoundedError(0.05, verifier=Oracle())
    stream(policy, 13, n=8_000)
    assert len(policy.state("n")) < 16_000


def test_namespaces_learn_apart():
    policy = BoundedError(0.05, verifier=Oracle())
    stream(policy, 14, n=500, namespace="a")
    assert policy.namespaces() == ["a"]
    assert policy.report("b").requests == 0


def test_a_guard_that_objects_in_vain_is_released_but_never_one_about_numbers():
    policy = BoundedError(0.05, explore=0.0)
    swapped, numbered = ("how do I view my card", "how do I browse my card"), ("view card 12", "view card 13")

    def ask(questions, *, right=True):
        decision = policy.decide("n", questions[0], [Neighbour("e", 0.999, questions[1], "g")])
        if not decision.serve:
            policy.learn("n", decision, {"g": right})
        return decision

    assert {ask(swapped).guard, ask(numbered).guard} == {"swap", "number"}
    for _ in range(60):
        ask(swapped)
        ask(numbered)
    assert ask(numbered).guard == "number"
    assert ask(swapped).guard is None


def test_threads_lose_no_count():
    policy = BoundedError(0.05, verifier=Oracle())
    threads = [threading.Thread(target=stream, args=(policy, s), kwargs={"n": 300}) for s in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = policy.report("n")
    assert report.requests == 2_400
    assert report.labels + report.served == 2_400


def test_from_the_first_outcomes_on_a_near_rival_counts_against_an_answer():
    policy = BoundedError(0.05)

    def probability(rival):
        near = [("where is my parcel", 0.97, "g"), ("where is a parcel of mine", 0.96, "g")]
        near += [("where is the parcel shop", rival, "h"), ("can I send a letter", 0.3, "i")]
        neighbours = [Neighbour(str(n), s, text, group) for n, (text, s, group) in enumerate(near)]
        return policy.decide("n", "where's my parcel", neighbours).probability

    far, close = probability(0.5), probability(0.95)
    assert far > close
    assert far > 0.95


def test_a_learned_outcome_needs_an_answer_to_compare():
    policy = BoundedError(0.05, verifier=Oracle())
    decision = policy.decide("n", "q", [Neighbour("e", 0.1, "q", "g")])
    policy.learn("n", decision, {})
    policy.learn("n", decision, {"another": True})
    policy.learn("n", policy.decide("n", "q", []), {"g": True})
    assert policy.report("n").labels == 0


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_error", 0.0),
        ("max_error", 1.0),
        ("confidence", 0.4),
        ("explore", 0.6),
        ("explore", -0.1),
        ("compare", 0),
    ],
)
def test_settings_out_of_range_are_refused(setting, value):
    with pytest.raises(ConfigurationError, match=setting):
        BoundedError(**{setting: value})
