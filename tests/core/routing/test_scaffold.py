"""Four steps, each with the notes before it, and a price for all of them."""

import pytest

from tokenomics_core import ConfigurationError
from tokenomics_core.routing import Router, RouteRequest, Tier
from tokenomics_core.routing.scaffold import COGNITIVE_STEPS, Scaffold, ScaffoldStep, scaffold_tier

CHEAP = Tier(name="cheap", model="small", price=("1", "2"), quality=0.2, capabilities={"tools", "images"})


def test_each_step_sees_the_notes_of_those_before_it_and_the_last_answers():
    run, seen, answer = Scaffold().run(), [], None
    step, (role, turn) = next(run)
    while answer is None:
        seen.append((step.name, turn))
        try:
            step, (role, turn) = run.send(f" reply {len(seen)} ")
        except StopIteration as done:
            answer = done.value
    assert role == "user"
    assert [name for name, _ in seen] == [step.name for step in COGNITIVE_STEPS]
    assert answer == " reply 4 "
    for number, (_, turn) in enumerate(seen):
        assert [f"reply {earlier}" in turn for earlier in range(1, 5)] == [
            earlier <= number for earlier in range(1, 5)
        ]
        assert turn.endswith(COGNITIVE_STEPS[number].instruction)


def test_a_scaffolds_tier_costs_what_its_calls_do():
    tier = scaffold_tier(CHEAP, quality=0.8)
    assert (tier.name, tier.input_factor, tier.output_factor) == ("cheap/scaffold", 6, 4)
    assert tier.capabilities == {"images"}
    router = Router([CHEAP, tier])
    request = RouteRequest(question="What?", input_tokens=1000, max_output_tokens=100, quality_floor=0.7)
    route = router.decide(request)
    assert route.tier is tier
    assert float(route.cost_usd) == pytest.approx((6 * 1000 * 1 + 4 * 100 * 2) / 1_000_000)


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (ScaffoldStep(name="a", instruction="?"),),
        (ScaffoldStep(name="a", instruction="?", answers=True), ScaffoldStep(name="b", instruction="?")),
        (ScaffoldStep(name="a", instruction="?", answers=True),) * 2,
    ],
)
def test_exactly_the_last_step_answers(steps):
    with pytest.raises(ConfigurationError, match="exactly the last answers"):
        Scaffold(steps)
