"""Pairs of texts: corpora, encoded stores, batches of like lengths."""
