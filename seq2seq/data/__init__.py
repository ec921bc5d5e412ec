"""Data to batches: files and tables, pairs of texts, documents."""
