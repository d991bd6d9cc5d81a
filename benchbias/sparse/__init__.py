"""Scores -> masks, and masks that hold while anything trains."""
