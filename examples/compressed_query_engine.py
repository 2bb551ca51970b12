"""A query engine that sends the passages that answer, and a chat that remembers what is asked about.

python examples/compressed_query_engine.py
python examples/compressed_query_engine.py --base-url https://api.openai.com/v1 --model gpt-4.1-mini
"""

from llama_index.core import SummaryIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.query_engine import CitationQueryEngine
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.llms.openai_like import OpenAILike

from examples.stand_in import API_KEY, open_provider, parse_arguments
from examples.stdlib_corpus import build_corpus
from llama_index_tokenomics import CompressedMemory, ContextCompressionPostprocessor, track_cost

PAGES = [page for page in build_corpus() if page.module in {"shutil", "textwrap", "heapq"}]
QUESTIONS = {
    "shutil": "What does shutil.which return?",
    "textwrap": "What does textwrap.dedent remove?",
    "heapq": "How does heapq.heapreplace differ from a pop followed by a push?",
}


def pages_of(module: str) -> list[TextNode]:
    return [
        TextNode(
            text=page.text,
            metadata={"page": page.id},
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=page.id)},
        )
        for page in PAGES
        if page.module == module
    ]


def main() -> None:
    arguments = parse_arguments(__doc__)
    compressor = ContextCompressionPostprocessor(ratio=0.25)
    with open_provider(arguments) as base_url:
        llm = OpenAILike(
            model=arguments.model,
            api_base=base_url,
            api_key=API_KEY,
            is_chat_model=True,
            context_window=128_000,
        )
        memory = CompressedMemory.from_defaults(llm=llm, max_tokens=1_000)
        chat = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
        with track_cost(title="Compressed") as cost:
            for module, question in QUESTIONS.items():
                index = SummaryIndex(pages_of(module))
                engine = CitationQueryEngine.from_args(index, llm=llm, node_postprocessors=[compressor])
                response = engine.query(question)
                read = {each.node.ref_doc_id for each in response.source_nodes}
                print(f"{question}\n   {response} ({len(read)} pages)")
                for page in pages_of(module):
                    memory.put(ChatMessage(role="user", content=f"Remember {page.text}"))
                    memory.put(ChatMessage(role="assistant", content="Noted."))
            question = QUESTIONS["textwrap"]
            print(f"{question}\n   {chat.chat(question)}")
    for name, stats in (("nodes", compressor.stats()), ("history", memory.stats())):
        print(f"{name}: {stats.tokens_before:,} tokens before, {stats.tokens_after:,} after")
    print(cost)
    print(f"avoided by compression: ${cost.avoided_usd:f}")


if __name__ == "__main__":
    main()
