"""Search over vectors: exact neighbours with FAISS, and the ranking rule for equal scores."""

from recroute.retrieval.neighbors import Neighbors
from recroute.retrieval.top_k import tie_order, top_k

__all__ = ["Neighbors", "tie_order", "top_k"]
