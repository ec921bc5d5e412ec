"""Continuous text: documents, encoded stores, batches of rows that go on."""
