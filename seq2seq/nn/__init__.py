"""Vectors in, vectors out: recurrent layers, attention, encoder, decoder, head."""
