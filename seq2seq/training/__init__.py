"""Training: the loop, teacher forcing, optimisation, checkpoints."""
