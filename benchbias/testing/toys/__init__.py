"""Toy data, toy networks, a trial and a population in memory."""
