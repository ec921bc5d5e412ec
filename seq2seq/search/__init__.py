"""Search: greedy and beam search over anything that steps."""
