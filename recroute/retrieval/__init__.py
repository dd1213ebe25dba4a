"""Vector search (nearest prompts, best LLMs), and rules for ties and unobserved cells in rankings."""

from recroute.retrieval.llm_index import LLMIndex
from recroute.retrieval.neighbors import Neighbors
from recroute.retrieval.top_k import Choices, condensed, first_evaluated, tie_order, top_k

__all__ = ["Choices", "LLMIndex", "Neighbors", "condensed", "first_evaluated", "tie_order", "top_k"]
