"""A router over two models whose decisions a test can read off the question."""

from llama_index.core.base.llms.types import ChatMessage

from llama_index_tokenomics import RoutingLLM
from tests.prices_by_hand import usd
from tokenomics_core.routing import Cascade, Router, Tier
from tokenomics_core.routing.acceptors import FunctionAcceptor
from tokenomics_core.routing.classifiers import FunctionClassifier
from tokenomics_core.routing.policies import CheapestGoodEnough

CHEAP, DEAR = "gpt-4o-mini", "gpt-4o"
EASY, HARD = "What is two and two?", "Prove that hard theorem."
USED = {"input_tokens": 1000, "output_tokens": 100}
COST = {model: usd(model, input=1000, output=100) for model in (CHEAP, DEAR)}
SAVED = COST[DEAR] - COST[CHEAP]


def by_words(request, tiers):
    """Choose the last tier for questions that call themselves hard."""
    return tiers[-1].name if "hard" in request.question.lower() else tiers[0].name


def settings(**more):
    return {"classifier": FunctionClassifier(by_words), "policy": CheapestGoodEnough(0.5), **more}


def routed(world, client="like", **more):
    """Return a router whose tiers are asked through the real client."""
    make = getattr(world, client)
    models = {"cheap": make(CHEAP, context_window=128_000), "dear": make(DEAR, context_window=128_000)}
    if client == "openai":
        models = {"cheap": make(CHEAP), "dear": make(DEAR)}
    return RoutingLLM(models, **settings(**more))


def cascaded(world, accepts, *, models=None, **more):
    """Return one whose cheap tier drafts, and whose drafts a function judges."""
    tiers = [Tier(name="cheap", model=CHEAP), Tier(name="dear", model=DEAR)]
    cascade = Cascade(tiers, FunctionAcceptor(accepts), threshold=0.5)
    return RoutingLLM(
        models or {"cheap": world.like(CHEAP), "dear": world.like(DEAR)}, cascade=cascade, **more
    )


def router_of(*tiers, **more):
    return Router(tiers, **settings(**more))


def user(text=EASY):
    return [ChatMessage(role="user", content=text)]


def models_asked(world):
    """Return which models the provider was asked for, in order."""
    return [request.model for request in world.provider.requests]


CHATS = ("chat", "stream_chat", "achat", "astream_chat")
TEXTS = ("complete", "stream_complete", "acomplete", "astream_complete")


async def ask(llm, method, given, **kwargs):
    """Call one of the eight methods and return the last response, with the whole text."""
    answer = getattr(llm, method)(given, **kwargs)
    if method.startswith("a"):
        answer = await answer
        if "stream" in method:
            pieces = [piece async for piece in answer]
            return pieces[-1], "".join(piece.delta or "" for piece in pieces)
    elif "stream" in method:
        pieces = list(answer)
        return pieces[-1], "".join(piece.delta or "" for piece in pieces)
    return answer, answer.message.content if "chat" in method else answer.text
