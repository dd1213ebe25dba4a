"""Text to vector: TF-IDF and truncated SVD fitted on train prompts, or the vectors a data set came with."""

from recroute.encoders.choose import ENCODERS, fit_encoder
from recroute.encoders.tfidf import TfidfEncoder

__all__ = ["ENCODERS", "TfidfEncoder", "fit_encoder"]
