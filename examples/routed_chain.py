"""A chain that asks the cheap model first and the dear one only where the cheap answer will not do.

python examples/routed_chain.py
python examples/routed_chain.py --base-url https://api.openai.com/v1 --strong-model gpt-4.1
"""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from examples.stand_in import API_KEY, open_provider, parse_arguments
from langchain_tokenomics import ModelRouter, track_cost
from tokenomics_core.routing import Answer, Cascade, Tier
from tokenomics_core.routing.acceptors import FunctionAcceptor

HANDBOOK = """Passwords are reset from the sign-in page: choose "Forgot password" and follow the mail.
Refunds take five working days. Order 1123 was refunded in May. Order 1124 was shipped in June.
A seat can be added by an owner under Settings, Members. Exports are kept for thirty days."""

QUESTIONS = [
    "How do I reset my password?",
    "How long do refunds take, and how long are exports kept?",
    "What happened to order 1123?",
    "Who founded the company?",
]


def is_sure(_question: str, answer: Answer) -> bool:
    """Accept an answer whose tokens were likely and which does not give up."""
    if answer.logprobs is None or "does not answer" in answer.text:
        return False
    return sum(answer.logprobs) / len(answer.logprobs) > -0.8


def main() -> None:
    arguments = parse_arguments(__doc__)
    with open_provider(arguments) as base_url:

        def chat(model: str) -> ChatOpenAI:
            return ChatOpenAI(
                model=model, base_url=base_url, api_key=API_KEY, stream_usage=True, logprobs=True
            )

        cheap, dear = (
            Tier(name="cheap", model=arguments.model),
            Tier(name="dear", model=arguments.strong_model),
        )
        # A rule for the example; fit an AnswerAcceptor on judged answers of your own.
        cascade = Cascade([cheap, dear], FunctionAcceptor(is_sure), threshold=0.5)
        router = ModelRouter([(cheap, chat(cheap.model)), (dear, chat(dear.model))], cascade=cascade)
        prompt = ChatPromptTemplate(
            [("system", "Answer from this handbook.\n\n{handbook}"), ("human", "{question}")]
        )
        chain = prompt | router | StrOutputParser()

        with track_cost(title="Routed chain") as cost:
            for question in QUESTIONS:
                # Drafts are judged before the first piece arrives: a rejected one is never seen.
                answer = "".join(chain.stream({"handbook": HANDBOOK, "question": question}))
                print(f"{cost.calls[-1].attribution.tags['route_tier']:>5}  {question}\n       {answer}")
        print(cost)
        print(router.stats())


if __name__ == "__main__":
    main()
