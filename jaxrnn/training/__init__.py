"""Training: one trial, many at once, and the loop on the host."""
