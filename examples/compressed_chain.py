"""A chain and an agent that send less, of documents and of tool results, and what that saved.

python examples/compressed_chain.py
python examples/compressed_chain.py --base-url https://api.openai.com/v1 --model gpt-4.1-mini
"""

import json

from langchain.agents import create_agent
from langchain.agents.middleware import ContextEditingMiddleware
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from examples.stand_in import API_KEY, open_provider, parse_arguments
from examples.stdlib_corpus import build_corpus
from langchain_tokenomics import CompressionEdit, ContextCompressor, PromptCachingMiddleware, track_cost

PAGES = [page for page in build_corpus() if page.module in {"shutil", "textwrap", "heapq"}]
QUESTIONS = [
    "What does shutil.which return?",
    "What does textwrap.dedent remove?",
    "How does heapq.heapreplace differ from a pop followed by a push?",
]


@tool
def list_pages(question: str) -> str:
    """List the pages of the modules that are asked about."""
    pages = [
        {"id": page.id, "kind": page.kind, "characters": len(page.text)}
        for page in PAGES
        if page.module in question
    ]
    return json.dumps(pages, indent=1)


def retrieve(question: str) -> dict[str, object]:
    """Find all pages of the module that is asked about."""
    found = [
        Document(page_content=page.text, id=page.id, metadata={"source": page.id})
        for page in PAGES
        if page.module in question
    ]
    return {"question": question, "context": found}


def main() -> None:
    arguments = parse_arguments(__doc__)
    compressor, edit, caching = ContextCompressor(ratio=0.25), CompressionEdit(), PromptCachingMiddleware()
    with open_provider(arguments) as base_url:
        model = ChatOpenAI(model=arguments.model, base_url=base_url, api_key=API_KEY)
        prompt = ChatPromptTemplate(
            [("system", "Answer from these pages.\n\n{pages}"), ("human", "{question}")]
        )
        chain = (
            RunnableLambda(retrieve)
            | compressor.as_runnable()
            | (lambda read: {**read, "pages": "\n\n".join(one.page_content for one in read["context"])})
            | prompt
            | model
            | StrOutputParser()
        )
        agent = create_agent(
            model, tools=[list_pages], middleware=[ContextEditingMiddleware(edits=[edit]), caching]
        )
        with track_cost(title="Compressed") as cost:
            for question in QUESTIONS:
                print(f"{question}\n   {chain.invoke(question)}")
            question = "Which pages does the manual list for heapq?"
            answer = agent.invoke({"messages": [("human", question)]})["messages"][-1].text
            print(f"{question}\n   {answer}")
    for name, stats in (("documents", compressor.stats()), ("tool results", edit.stats())):
        print(f"{name}: {stats.tokens_before:,} tokens before, {stats.tokens_after:,} after")
    print(caching.report())
    print(cost)
    print(f"avoided by compression: ${cost.avoided_usd:f}")


if __name__ == "__main__":
    main()
