"""Models: parts joined into something that can be trained and searched."""
