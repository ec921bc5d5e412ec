"""Models: parts of :mod:`seq2seq.nn` put together, from a batch to features, and step by step."""
