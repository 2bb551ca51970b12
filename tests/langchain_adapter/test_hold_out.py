"""Who is left alone is asked as if nothing saved anything, and the difference is what was saved."""

from langchain_core.documents import Document
from langchain_core.messages import HumanMessage

from examples.provider import ProviderAnswer, ProviderUsage
from langchain_tokenomics import ContextCompressor, ModelRouter, SemanticCache, attribution, track_cost
from tokenomics_core.observability.savings import HoldOut, savings
from tokenomics_core.tokens import count_tokens

HELD = HoldOut(share=0.4)
QUESTION = "When was the seventh order refunded?"
DOCUMENTS = [
    Document(
        page_content=f"Order number {at} was sent on a Monday. It came back {at + 2} days later. "
        f"The order {at} was refunded in week {at + 20}. Nobody asked for more than that on page {at}."
    )
    for at in range(9)
]


def counted(request):
    """Answer with the usage that the prompt really has."""
    words = "\n".join(str(message["content"]) for message in request.body["messages"])
    usage = ProviderUsage(input_tokens=int(count_tokens(words, "gpt-4o")), output_tokens=20)
    return ProviderAnswer(text="In week 27.", usage=usage)


def test_cache_router_and_compressor_leave_the_same_conversations_alone(world):
    world.engine.always(counted)
    models = {"cheap": world.openai("gpt-4o-mini"), "dear": world.openai("gpt-4o")}
    router = ModelRouter(models, holdout=HELD)
    cached = SemanticCache(hold_out=HELD).cached(world.openai("gpt-4o"))
    compressor = ContextCompressor(ratio=0.25, hold_out=HELD)

    def chain(name):
        with attribution(conversation=name):
            kept = compressor.compress_documents(DOCUMENTS, QUESTION)
            pages = "\n\n".join(one.page_content for one in kept)
            world.openai("gpt-4o").invoke([HumanMessage(f"{pages}\n\n{QUESTION}")])
            router.invoke([HumanMessage("What is two and two?")])
            cached.invoke([HumanMessage("How long do refunds take?")])

    with track_cost() as cost:
        for number in range(40):
            chain(f"c{number}")
    saved = savings(cost.calls, hold_out=HELD)
    alone = [one for one in cost.calls if HELD.leaves_alone(one.attribution)]
    assert 20 < len(alone) < 90
    assert all(
        one.source == "model" and one.model.startswith("gpt-4o") and "mini" not in one.model for one in alone
    )
    assert not any(one.avoided_usd for one in alone)
    assert saved.measured.touched_calls == 0
    assert set(saved.parts) == {"cache", "compress", "route"}
    assert saved.counterfactual_usd - saved.spent_usd == sum(saved.parts.values())
    # Every conversation asks the same, so that what was booked is what the others really cost.
    measured = saved.measured
    assert measured.per_call_usd > 0
    assert abs(measured.booked_per_call_usd - measured.per_call_usd) < measured.per_call_usd / 10


async def test_it_is_the_same_without_blocking(world):
    world.engine.always(counted)
    cached = SemanticCache(hold_out=HELD).cached(world.openai("gpt-4o"))
    compressor = ContextCompressor(ratio=0.25, hold_out=HELD)
    alone = next(name for name in map(str, range(99)) if HELD.left_alone(name))
    treated = next(name for name in map(str, range(99)) if not HELD.left_alone(name))
    for name, calls, is_whole in ((alone, 2, True), (treated, 1, False)):
        before = len(world.provider.requests)
        with attribution(conversation=name):
            kept = await compressor.acompress_documents(DOCUMENTS, QUESTION)
            for _ in range(2):
                await cached.ainvoke([HumanMessage("How long do refunds take?")])
        assert len(world.provider.requests) - before == calls
        assert (kept == DOCUMENTS) is is_whole
