"""The audit of a compressed model: does it harm a group of examples? numpy and scipy alone."""
