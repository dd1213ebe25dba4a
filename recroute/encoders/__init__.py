"""Encoders of prompts: TF-IDF with SVD, surface features, sentence encoders, and vectors that came with the data."""

from recroute.encoders.choose import ENCODERS, encode_dataset, fit_encoder, main_encoder, view_encoder, with_encoder
from recroute.encoders.function import FunctionEncoder, as_encoder
from recroute.encoders.joint import JointEncoder, encode_texts, encoder_width, vectors_of
from recroute.encoders.registry import register_encoder
from recroute.encoders.sentence import SentenceEncoder
from recroute.encoders.surface import SurfaceEncoder
from recroute.encoders.tfidf import TfidfEncoder

__all__ = [
    "ENCODERS",
    "FunctionEncoder",
    "JointEncoder",
    "SentenceEncoder",
    "SurfaceEncoder",
    "TfidfEncoder",
    "as_encoder",
    "encode_dataset",
    "encode_texts",
    "encoder_width",
    "fit_encoder",
    "main_encoder",
    "register_encoder",
    "vectors_of",
    "view_encoder",
    "with_encoder",
]
