"""Audits over training runs: several pairs of models, and two rows of a suite. No torch."""
