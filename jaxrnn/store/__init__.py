"""What is on disk: rows, the run directory with its configuration, checkpoints and weights."""
