"""Text that goes on: a language model over characters, bytes, words or pieces."""
