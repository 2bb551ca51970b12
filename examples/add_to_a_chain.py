"""Add cost tracking to a LangChain chain that you already have.

python examples/add_to_a_chain.py
python examples/add_to_a_chain.py --base-url https://api.openai.com/v1 --model gpt-4.1-mini
"""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from examples.stand_in import API_KEY, open_provider, parse_arguments
from langchain_tokenomics import attribution, track_cost

HANDBOOK = """Passwords are reset from the sign-in page: choose "Forgot password" and follow the mail.
Invoices are issued on the first working day of each month. Refunds take five working days.
A seat can be added by an owner under Settings, Members. Exports are kept for thirty days."""

QUESTIONS = {
    "ada": ["How do I reset my password?", "How long do refunds take?"],
    "bob": ["Who can add a seat?"],
}


def main() -> None:
    arguments = parse_arguments(__doc__)
    with open_provider(arguments) as base_url:
        prompt = ChatPromptTemplate.from_messages(
            [("system", "Answer from this handbook.\n\n{handbook}"), ("human", "{question}")]
        )
        model = ChatOpenAI(model=arguments.model, base_url=base_url, api_key=API_KEY, stream_usage=True)
        chain = prompt | model | StrOutputParser()

        # Everything above is the chain as it was. The three lines with `with` are what is new.
        with track_cost(title="Handbook") as cost:
            for user, questions in QUESTIONS.items():
                with attribution(user=user, feature="handbook"):
                    for question in questions:
                        answer = "".join(chain.stream({"handbook": HANDBOOK, "question": question}))
                        print(f"{user}: {question}\n  {answer}")
        print(cost)


if __name__ == "__main__":
    main()
