"""Corpora to batches: sources of pairs, encoded stores, length buckets."""
