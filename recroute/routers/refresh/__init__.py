"""Correction of a fitted router by later feedback: sums of residuals, their posterior, and a summary of the change."""
