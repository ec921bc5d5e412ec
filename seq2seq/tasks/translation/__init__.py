"""Text to text with an encoder-decoder."""
