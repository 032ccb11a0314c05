"""Training: the optimiser of the published systems."""
