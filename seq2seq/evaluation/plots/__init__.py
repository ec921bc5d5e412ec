"""Pictures: learning curves, attention, surprisal."""
