"""Price, attribute and show what LangChain calls cost.

from langchain_tokenomics import track_cost

with track_cost() as cost:
    chain.invoke("How do I reset my password?")
print(cost)
"""

from tokenomics_core.errors import MissingExtraError

try:
    import langchain_core as _  # noqa: F401 - asked for only to know whether it is there
except ModuleNotFoundError as error:
    raise MissingExtraError("langchain-core", "langchain") from error

from langchain_tokenomics.budgets import BudgetCallbackHandler, BudgetExceededError
from langchain_tokenomics.callbacks import CostCallbackHandler
from langchain_tokenomics.embeddings import MeteredEmbeddings
from langchain_tokenomics.tracking import track_cost
from tokenomics_core.types import attribution, in_context

__all__ = [
    "BudgetCallbackHandler",
    "BudgetExceededError",
    "CostCallbackHandler",
    "MeteredEmbeddings",
    "attribution",
    "in_context",
    "track_cost",
]
