"""Plug cost tracking into a LlamaIndex query engine that you already have.

python examples/plug_into_a_query_engine.py
python examples/plug_into_a_query_engine.py --base-url https://api.openai.com/v1 --model gpt-4.1-mini
"""

from llama_index.core import SummaryIndex
from llama_index.core.schema import TextNode
from llama_index.llms.openai_like import OpenAILike

from examples.stand_in import API_KEY, open_provider, parse_arguments
from llama_index_tokenomics import attribution, track_cost

HANDBOOK = [
    'Passwords are reset from the sign-in page: choose "Forgot password" and follow the mail.',
    "Invoices are issued on the first working day of each month. Refunds take five working days.",
    "A seat can be added by an owner under Settings, Members. Exports are kept for thirty days.",
]
QUESTIONS = {
    "ada": ["How do I reset my password?", "How long do refunds take?"],
    "bob": ["Who can add a seat?"],
}


def main() -> None:
    arguments = parse_arguments(__doc__)
    with open_provider(arguments) as base_url:
        llm = OpenAILike(
            model=arguments.model,
            api_base=base_url,
            api_key=API_KEY,
            is_chat_model=True,
            context_window=128_000,
        )
        index = SummaryIndex([TextNode(text=text) for text in HANDBOOK])
        engine = index.as_query_engine(llm=llm, streaming=True)

        # Everything above is the engine as it was. The lines with `with` are what is new.
        with track_cost(title="Handbook") as cost:
            for user, questions in QUESTIONS.items():
                with attribution(user=user, feature="handbook"):
                    for question in questions:
                        answer = "".join(engine.query(question).response_gen)
                        print(f"{user}: {question}\n  {answer}")
        print(cost)


if __name__ == "__main__":
    main()
