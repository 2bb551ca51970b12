"""A query engine whose easy questions go to a small model and whose answers are checked before they count.

python examples/routed_query_engine.py
python examples/routed_query_engine.py --base-url https://api.openai.com/v1 --model gpt-4.1-nano
"""

import re

from llama_index.core import ChatPromptTemplate, SimpleKeywordTableIndex
from llama_index.core.schema import TextNode
from llama_index.llms.openai_like import OpenAILike

from examples.stand_in import API_KEY, open_provider, parse_arguments
from llama_index_tokenomics import RoutingLLM, track_cost
from tokenomics_core.routing import Answer, Cascade, Tier
from tokenomics_core.routing.acceptors import FunctionAcceptor

HANDBOOK = {
    "sign-in": 'Passwords are reset from the sign-in page: choose "Forgot password" and follow the mail.',
    "billing": "Refunds take five working days. Order 1123 was refunded in May. Order 1124 shipped in June.",
    "members": "A seat can be added by an owner under Settings, Members. Exports are kept for thirty days.",
}
PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Answer from this handbook.\n\n{context_str}"), ("user", "{query_str}")]
)
QUESTIONS = [
    "How do I reset my password?",
    "How long do refunds take?",
    "What happened to order 1123?",
    "What happened to order 1123 and to order 1124?",
    "Who may add a seat, and where?",
]


def speaks_of_all(question: str, answer: Answer) -> bool:
    """Accept a draft that names every number asked about; a fitted `AnswerAcceptor` knows more than this."""
    return set(re.findall(r"\d+", question)) <= set(re.findall(r"\d+", answer.text))


def main() -> None:
    arguments = parse_arguments(__doc__)
    with open_provider(arguments) as base_url:
        models = {
            name: OpenAILike(
                model=model, api_base=base_url, api_key=API_KEY, is_chat_model=True, context_window=128_000
            )
            for name, model in (("small", arguments.model), ("strong", arguments.strong_model))
        }
        tiers = [Tier(name=name, model=model.model) for name, model in models.items()]
        cascade = Cascade(tiers, FunctionAcceptor(speaks_of_all), threshold=0.5)
        # Without `cascade` the question alone decides, and no answer is asked for twice.
        llm = RoutingLLM(models, cascade=cascade)
        nodes = [TextNode(text=text) for text in HANDBOOK.values()]
        engine = SimpleKeywordTableIndex(nodes, llm=models["small"]).as_query_engine(
            llm=llm, text_qa_template=PROMPT
        )
        with track_cost(title="Routed handbook") as cost:
            for question in QUESTIONS:
                print(f"{question}\n       {engine.query(question)}")
        print(cost)
        print(llm.stats())


if __name__ == "__main__":
    main()
