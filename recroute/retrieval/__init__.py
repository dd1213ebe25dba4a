"""Search over vectors with FAISS: exact neighbours and the best LLMs. How rankings treat ties and unobserved cells."""

from recroute.retrieval.llm_index import LLMIndex
from recroute.retrieval.neighbors import Neighbors
from recroute.retrieval.top_k import Choices, condensed, first_evaluated, tie_order, top_k

__all__ = ["Choices", "LLMIndex", "Neighbors", "condensed", "first_evaluated", "tie_order", "top_k"]
