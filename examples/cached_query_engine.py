"""A query engine that answers repeated questions from what was paid for already, source nodes included.

python examples/cached_query_engine.py
python examples/cached_query_engine.py --base-url https://api.openai.com/v1 --model gpt-4.1-mini
"""

from llama_index.core import ChatPromptTemplate, SimpleKeywordTableIndex
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.llms.openai_like import OpenAILike

from examples.stand_in import API_KEY, open_provider, parse_arguments
from llama_index_tokenomics import CachingQueryEngine, track_cost
from tokenomics_core.observability import CostReport

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
    "how do i reset my  password?",  # the same words
    "How can I reset my password?",  # other words for the same
    "What happened to order 1123?",
    "What happened to order 1124?",  # nearly the same words for something else
    "How long do refunds take?",
    "How long do refunds take?",
]


def pages() -> list[TextNode]:
    return [
        TextNode(
            text=text,
            metadata={"page": page},
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=page)},
        )
        for page, text in HANDBOOK.items()
    ]


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
        engine = SimpleKeywordTableIndex(pages(), llm=llm).as_query_engine(
            llm=llm,
            streaming=True,
            text_qa_template=PROMPT,
        )
        # Everything above is the engine as it was; CachingLLM(llm) caches single calls instead of queries.
        # With path="cache.db" answers outlive the process.
        engine = CachingQueryEngine(engine, name="handbook")

        with track_cost(title="Cached handbook") as cost:
            for question in QUESTIONS:
                ask(engine, question, cost)
            n_dropped = engine.cache.invalidate(source="billing")
            print(f"The page on billing has changed: {n_dropped} answers dropped")
            ask(engine, QUESTIONS[-1], cost)
        print(cost)
        print(engine.stats())
        engine.cache.close()


def ask(engine: CachingQueryEngine, question: str, cost: CostReport) -> None:
    response = engine.query(question)
    answer = "".join(response.response_gen)
    pages_read = ", ".join(each.node.ref_doc_id for each in response.source_nodes)
    print(f"{cost.calls[-1].source:>5}  {question}\n       {answer} ({pages_read})")


if __name__ == "__main__":
    main()
