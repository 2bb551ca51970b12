"""An agent with a budget for one conversation: it is warned, then downgraded, then ended with a clear answer.

python examples/budgeted_agent.py
python examples/budgeted_agent.py --base-url https://api.openai.com/v1
"""

from collections.abc import Callable
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from examples.stand_in import API_KEY, open_provider, parse_arguments
from langchain_tokenomics import BudgetMiddleware, attribution, track_cost
from langchain_tokenomics.middleware import WRAP_UP_MESSAGE
from tokenomics_core.budgets import Budgets, Limit

HANDBOOK = {
    "travel": "Trains are booked in second class. A hotel may cost 120 euros a night. Taxis need a reason.",
    "leave": "Everybody has 30 days of leave. Leave is asked for two weeks ahead. It lapses in March.",
    "laptop": "A laptop is replaced after four years. Broken laptops go to the help desk on floor 2.",
    "release": "The release ships on Friday. Ada owns the migration. The index is rebuilt at night.",
}
QUESTIONS = [
    "How much may a hotel cost on travel?",
    "How many days of leave are there?",
    "When is a laptop replaced?",
    "When does the release ship?",
    "Who owns the migration of the release?",
    "When does leave lapse?",
]


@tool
def look_up(question: str) -> str:
    """Look a question up in the handbook."""
    return "\n".join(text for topic, text in HANDBOOK.items() if topic in question.lower())


class Window(AgentMiddleware):
    """Shows what reaches the model, behind the budget."""

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        warned = any(message.content == WRAP_UP_MESSAGE for message in request.messages)
        bound = request.model_settings.get("max_tokens")
        told = ", told to wrap up" if warned else ""
        print(f"   {request.model.model_name}, at most {bound} tokens{told}")
        return handler(request)


def main() -> None:
    arguments = parse_arguments(__doc__)
    budgets = Budgets([Limit("conversation", usd="0.0023")])
    with open_provider(arguments) as base_url:
        strong, weak = (
            ChatOpenAI(model=name, base_url=base_url, api_key=API_KEY)
            for name in (arguments.strong_model, arguments.model)
        )
        budget = BudgetMiddleware(
            budgets,
            wrap_up_at=0.5,
            downgrade_at=0.7,
            downgrade_to=weak,
            tool_prices={"look_up": "0.0003"},
            max_output_tokens=300,
            min_output_tokens=100,
        )
        agent = create_agent(strong, tools=[look_up], middleware=[budget, Window()])
        with track_cost(title="What the models cost") as cost, attribution(conversation="ada-1"):
            for question in QUESTIONS:
                print(question)
                answer = agent.invoke({"messages": [("human", question)]})
                print("  ", answer["messages"][-1].text)
    print(cost)
    print(budgets.status("conversation", "ada-1"))


if __name__ == "__main__":
    main()
