"""Who is left alone is asked as if nothing saved anything, and the difference is what was saved."""

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from examples.provider import ProviderAnswer, ProviderUsage
from llama_index_tokenomics import (
    CachingLLM,
    ContextCompressionPostprocessor,
    RoutingLLM,
    attribution,
    track_cost,
)
from tokenomics_core.observability.savings import HoldOut, savings
from tokenomics_core.tokens import count_tokens

HELD = HoldOut(share=0.4)
QUESTION = "When was the seventh order refunded?"
NODES = [
    NodeWithScore(
        node=TextNode(
            text=f"This page is about order {at} and was last read by somebody on a rainy afternoon. "
            f"The order {at} for laptops was refunded in week {at + 11} after a call. "
            f"Nobody remembers who wrote the rest of it, and nobody asked. "
            f"Further pages on order {at} may follow when there is time for them."
        )
    )
    for at in range(9)
]


def counted(request):
    """Answer with the usage that the prompt really has."""
    words = "\n".join(str(message["content"]) for message in request.body["messages"])
    usage = ProviderUsage(input_tokens=int(count_tokens(words, "gpt-4o")), output_tokens=20)
    return ProviderAnswer(text="In week 27.", usage=usage)


async def test_cache_router_and_postprocessor_leave_the_same_conversations_alone(world):
    world.engine.always(counted)
    models = {"cheap": world.openai("gpt-4o-mini"), "dear": world.openai("gpt-4o")}
    router = RoutingLLM(models, holdout=HELD)
    cached = CachingLLM(world.openai("gpt-4o"), hold_out=HELD)
    postprocessor = ContextCompressionPostprocessor(ratio=0.25, hold_out=HELD)

    async def ask(number):
        with attribution(conversation=f"c{number}"):
            query = QueryBundle(QUESTION)
            kept = (
                await postprocessor.apostprocess_nodes(NODES, query)
                if number % 2
                else postprocessor.postprocess_nodes(NODES, query)
            )
            pages = "\n\n".join(one.node.get_content() for one in kept)
            world.openai("gpt-4o").chat([ChatMessage(role="user", content=f"{pages}\n\n{QUESTION}")])
            router.chat([ChatMessage(role="user", content="What is two and two?")])
            question = [ChatMessage(role="user", content="How long do refunds take?")]
            await cached.achat(question) if number % 2 else cached.chat(question)

    with track_cost() as cost:
        for number in range(40):
            await ask(number)
    saved = savings(cost.calls, hold_out=HELD)
    alone = [one for one in cost.calls if HELD.leaves_alone(one.attribution)]
    assert 20 < len(alone) < 90
    assert all(one.source == "model" and "mini" not in one.model for one in alone)
    assert not any(one.avoided_usd for one in alone)
    assert saved.measured.touched_calls == 0
    assert set(saved.parts) == {"cache", "compress", "route"}
    assert saved.counterfactual_usd - saved.spent_usd == sum(saved.parts.values())
    measured = saved.measured
    assert abs(measured.booked_per_call_usd - measured.per_call_usd) < measured.per_call_usd / 10
