"""A chain that answers repeated questions from what was paid for already, streams included.

python examples/cached_chain.py
python examples/cached_chain.py --base-url https://api.openai.com/v1 --model gpt-4.1-mini
"""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from examples.stand_in import API_KEY, open_provider, parse_arguments
from langchain_tokenomics import SemanticCache, track_cost

HANDBOOK = """Passwords are reset from the sign-in page: choose "Forgot password" and follow the mail.
Refunds take five working days. Order 1123 was refunded in May. Order 1124 was shipped in June.
A seat can be added by an owner under Settings, Members. Exports are kept for thirty days."""

QUESTIONS = [
    "How do I reset my password?",
    "how do i reset my  password?",  # the same words
    "How can I reset my password?",  # other words for the same
    "What happened to order 1123?",
    "What happened to order 1124?",  # nearly the same words for something else
    "How long do refunds take?",
    "How long do refunds take?",
]


def main() -> None:
    arguments = parse_arguments(__doc__)
    with open_provider(arguments) as base_url:
        cache = SemanticCache()  # SemanticCache(path="cache.db") keeps answers on disk
        model = ChatOpenAI(model=arguments.model, base_url=base_url, api_key=API_KEY, stream_usage=True)
        prompt = ChatPromptTemplate(
            [("system", "Answer from this handbook.\n\n{handbook}"), ("human", "{question}")]
        )
        chain = prompt | cache.cached(model) | StrOutputParser()

        with track_cost(title="Cached chain") as cost:
            for question in QUESTIONS:
                answer = "".join(chain.stream({"handbook": HANDBOOK, "question": question}))
                print(f"{cost.calls[-1].source:>5}  {question}\n       {answer}")
        print(cost)
        print(cache.stats())
        cache.close()


if __name__ == "__main__":
    main()
