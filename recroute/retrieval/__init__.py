"""Search over vectors: exact neighbours and the best LLMs with FAISS, and the ranking rule for equal scores."""

from recroute.retrieval.llm_index import LLMIndex
from recroute.retrieval.neighbors import Neighbors
from recroute.retrieval.top_k import tie_order, top_k

__all__ = ["LLMIndex", "Neighbors", "tie_order", "top_k"]
