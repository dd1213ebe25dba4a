"""What a router remembers of its training data: to take in unseen LLMs, and to explain its choices."""
