"""Evaluation of routers: tables of metrics with intervals on the whole pool, and as pool or training data grow."""
