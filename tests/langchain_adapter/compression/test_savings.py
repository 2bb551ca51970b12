"""What a call would have cost more is told once, whatever saved it, and never where nothing was spared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain.agents.middleware import ContextEditingMiddleware
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from examples.provider import ProviderAnswer, ProviderUsage
from langchain_tokenomics import (
    ContextCompressor,
    CostCallbackHandler,
    HistoryCompressor,
    ModelRouter,
    PromptCachingMiddleware,
    SemanticCache,
    track_cost,
)
from tests.prices_by_hand import usd
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability import CutTexts

USAGE = ProviderUsage(input_tokens=400, output_tokens=10)
QUESTION = "When was the seventh order refunded?"
DOCUMENTS = [
    Document(
        page_content=f"Order number {at} was sent on a Monday. It came back {at + 2} days later. "
        f"The order {at} was refunded in week {at + 20}. Nobody asked for more than that on page {at}.",
        id=f"{at}",
    )
    for at in range(9)
]

stretch = st.text(alphabet="abcdefgh ", min_size=16, max_size=40).filter(lambda text: len(text.strip()) >= 16)


@given(kept=st.lists(stretch, min_size=1), gone=st.lists(stretch, min_size=1), tokens=st.integers(1, 10**6))
def test_only_a_prompt_that_has_all_that_was_kept_and_nothing_else_is_recognised(kept, gone, tokens):
    cuts = CutTexts()
    cuts.note(kept, gone, tokens, source=[*kept, *gone])
    short = "\n\n".join(kept)
    whole = "\n\n".join([*kept, *gone])
    assert cuts.tokens_in(whole) in ({0} if any(one.strip() not in short for one in gone) else {0, tokens})
    assert cuts.tokens_in(short) in {0, tokens}
    if all(one.strip() not in short for one in gone):
        assert cuts.tokens_in(short) == tokens
    assert cuts.tokens_in("something else altogether") == 0


def test_what_was_cut_is_forgotten_by_age_and_by_number():
    now = [0.0]
    cuts = CutTexts(most=2, ttl_s=10, clock=lambda: now[0])
    for at in range(3):
        cuts.note([f"what was kept of number {at}"], ["what was left out of it"], 5, source=[f"{at}"])
    found = [cuts.tokens_in(f"what was kept of number {at}") for at in range(3)]
    assert found == [0, 5, 5]
    now[0] = 11.0
    assert cuts.tokens_in("what was kept of number 2") == 0


def test_of_compressions_of_the_same_documents_the_last_counts_and_of_others_all():
    cuts = CutTexts()
    cuts.note(["this was kept at first"], ["and this was not kept"], 5, source=["a"])
    cuts.note(["this was kept at first"], ["nor was this one kept"], 7, source=["a"])
    cuts.note(["this is of another shelf"], ["of which this is gone"], 11, source=["b"])
    assert cuts.tokens_in("this was kept at first\nthis is of another shelf") == 18


def pages():
    kept = ContextCompressor(ratio=0.25).compress_documents(DOCUMENTS, QUESTION)
    return "\n\n".join(one.page_content for one in kept) + "\n\n" + QUESTION


@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_ways_of_saving_add_up_on_the_calls_own_record(world, how):
    world.engine.always(ProviderAnswer(text="In week 27.", usage=USAGE))
    router = ModelRouter({"cheap": world.openai("gpt-4o-mini"), "dear": world.openai("gpt-4o")}, explore=0)
    prompt = pages()
    with track_cost() as cost:
        list(router.stream(prompt)) if how == "stream" else router.invoke(prompt)
    [record] = cost.calls
    assert record.avoided_by == "route+compress"
    spared = int(record.attribution.tags["compress_tokens_avoided"])
    model = record.attribution.tags["route_tier"]
    name = {"cheap": "gpt-4o-mini", "dear": "gpt-4o"}[model]
    routed = usd("gpt-4o", input=400, output=10) - usd(name, input=400, output=10)
    assert record.avoided_usd == pytest.approx(routed + usd(name, input=spared))


def test_an_answer_from_the_cache_avoids_its_own_cost_and_no_more(world):
    world.engine.always(ProviderAnswer(text="In week 27.", usage=USAGE))
    model, prompt = SemanticCache().cached(world.openai()), pages()
    with track_cost() as cost:
        model.invoke(prompt)
        model.invoke(prompt)
    first, second = cost.calls
    assert first.avoided_by == "compress"
    assert (second.source, second.avoided_by) == ("cache", "cache")
    assert second.avoided_usd == usd("gpt-4o", input=400, output=10)


def test_every_ledger_that_hears_of_a_call_is_told_the_same(world):
    world.engine.always(ProviderAnswer(text="In week 27.", usage=USAGE))
    ledger = MemoryLedger()
    with track_cost() as cost:
        world.openai().invoke(pages(), {"callbacks": [CostCallbackHandler(ledger)]})
    [record] = ledger.records()
    assert record.avoided_usd == cost.avoided_usd > 0
    assert ledger.by("avoided_by").keys() == {"compress"}


async def test_a_compressed_history_in_a_cached_prefix_is_credited_for_both(world):
    usage = ProviderUsage(
        input_tokens=2500, output_tokens=10, cache_read_tokens=1500, cache_write_5m_tokens=500
    )
    world.engine.always(ProviderAnswer(text="In week 27.", usage=usage))
    history = [SystemMessage("You help. " * 700)]
    for at in range(30):
        history += [HumanMessage(f"What of order {at}?"), AIMessage(f"Order {at} is on its way. " * 9)]
    middleware = [ContextEditingMiddleware(edits=[HistoryCompressor(3_000)]), PromptCachingMiddleware()]
    agent = create_agent(world.anthropic("claude-sonnet-4-5"), tools=[], middleware=middleware)
    with track_cost() as cost:
        await agent.ainvoke({"messages": [*history, HumanMessage(QUESTION)]})
    [record] = cost.calls
    assert record.avoided_by == "compress+prompt_cache"
    spared = int(record.attribution.tags["compress_tokens_avoided"])
    uncached = usd("claude-sonnet-4-5", input=2500, output=10)
    # The note on what was left out stands among earlier turns, which the provider had cached.
    assert record.avoided_usd == uncached - record.cost_usd + usd("claude-sonnet-4-5", read=spared)
