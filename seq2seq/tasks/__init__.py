"""What models are trained for: one folder is one task; everything above knows only the contract."""
