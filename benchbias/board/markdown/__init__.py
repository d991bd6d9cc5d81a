"""Boards as markdown."""
