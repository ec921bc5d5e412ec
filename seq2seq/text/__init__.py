"""Text to ids and back: normalisers, tokenizers, vocabularies, pipelines."""
