"""Training data kept by a router, used to add unseen LLMs, to explain choices and to estimate prediction errors."""
