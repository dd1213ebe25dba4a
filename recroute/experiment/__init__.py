"""Shared by all experiments: settings, splits with vectors, controls, provenance, intervals, comparisons, results."""
