"""Engines dispatch stages to processes; the store alone knows what is done."""
