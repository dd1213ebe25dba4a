"""Several attempts at a prompt: what a second LLM is worth, and which one it should be."""

from recroute.attempts.result import Cascade
from recroute.attempts.run import cascade

__all__ = ["Cascade", "cascade"]
