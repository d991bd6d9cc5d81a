"""Cells of test examples -> estimates, intervals, ranks."""
