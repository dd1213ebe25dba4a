"""LLMs that nobody has evaluated yet: what the known ones say about them, and how a router takes them in."""
