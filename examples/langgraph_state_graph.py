"""Track a plain LangGraph graph: two nodes, two models, one bill by run and by user.

python examples/langgraph_state_graph.py
python examples/langgraph_state_graph.py --base-url https://api.openai.com/v1 --model gpt-4.1-mini
"""

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph

from examples.stand_in import API_KEY, open_provider, parse_arguments
from langchain_tokenomics import CostCallbackHandler

NOTES = "The release ships on Friday. Ada owns the migration. The search index is rebuilt at night."


def build(model: ChatOpenAI, critic: ChatOpenAI) -> StateGraph:
    def draft(state: MessagesState) -> dict:
        return {"messages": [model.invoke([("system", NOTES), *state["messages"]])]}

    def review(state: MessagesState) -> dict:
        return {
            "messages": [critic.invoke([("system", NOTES), *state["messages"], ("human", "Who owns it?")])]
        }

    graph = StateGraph(MessagesState)
    graph.add_node("draft", draft)
    graph.add_node("review", review)
    graph.add_edge(START, "draft")
    graph.add_edge("draft", "review")
    graph.add_edge("review", END)
    return graph


def main() -> None:
    arguments = parse_arguments(__doc__)
    with open_provider(arguments) as base_url:
        model = ChatOpenAI(model=arguments.model, base_url=base_url, api_key=API_KEY)
        critic = ChatOpenAI(model=arguments.strong_model, base_url=base_url, api_key=API_KEY)
        app = build(model, critic).compile()

        cost = CostCallbackHandler()
        for user in ("ada", "bob"):
            config = {"callbacks": [cost], "metadata": {"user_id": user, "feature": "planning"}}
            answer = app.invoke({"messages": [("human", "When does the release ship?")]}, config)
            print(f"{user}: {answer['messages'][-1].text}")
    print(cost.report)
    for run, usd in cost.report.by("run").items():
        print(f"run {run[-8:]}: ${usd}")  # ids of runs begin with the time and differ at their end


if __name__ == "__main__":
    main()
