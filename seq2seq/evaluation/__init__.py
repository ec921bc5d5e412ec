"""Evaluation: metrics with signatures, and reports."""
