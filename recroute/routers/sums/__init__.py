"""Fitting routers from sums over prompts, which merge: over blocks, files, days and machines."""
