"""Finished networks: rebuilt from a results folder, written to files that give the stored answers back, timed."""
