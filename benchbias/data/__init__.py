"""Data sets as values, and the reading of raw files."""
