"""A block opened through either adapter counts the calls of both frameworks."""

import subprocess
import sys

import pytest

from examples.provider import LoopbackProvider, ProviderAnswer, ProviderUsage, ScriptedEngine

CODE = """
import sys
from langchain_openai import ChatOpenAI
from llama_index.llms.openai_like import OpenAILike
import langchain_tokenomics, llama_index_tokenomics

url, opener = sys.argv[1:]
with sys.modules[opener].track_cost() as cost:
    ChatOpenAI(model="gpt-4o", base_url=url, api_key="x").invoke("hi")
    OpenAILike(model="gpt-4o", api_base=url, api_key="x", is_chat_model=True).complete("hi")
print(len(cost.calls), cost.total_usd)
"""


@pytest.mark.parametrize("opener", ["langchain_tokenomics", "llama_index_tokenomics"])
def test_one_block_counts_both(opener):
    engine = ScriptedEngine(always=ProviderAnswer(usage=ProviderUsage(input_tokens=100, output_tokens=20)))
    with LoopbackProvider(engine) as provider:
        command = [sys.executable, "-W", "ignore", "-c", CODE, provider.openai_url, opener]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    # twice 100 tokens at $2.50 and 20 at $10 per million
    assert done.stdout.split() == ["2", "0.00090000"]
