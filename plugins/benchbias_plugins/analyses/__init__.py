"""Analyses: comparisons over all trials of a task."""
