"""Probes: measurements of one trained model."""
