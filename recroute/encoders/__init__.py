"""Text to vector: the vectors a data set came with, TF-IDF with truncated SVD, surface features, side by side."""

from recroute.encoders.choose import ENCODERS, fit_encoder, main_encoder, view_encoder
from recroute.encoders.joint import JointEncoder, vectors_of
from recroute.encoders.surface import SurfaceEncoder
from recroute.encoders.tfidf import TfidfEncoder

__all__ = [
    "ENCODERS",
    "JointEncoder",
    "SurfaceEncoder",
    "TfidfEncoder",
    "fit_encoder",
    "main_encoder",
    "vectors_of",
    "view_encoder",
]
