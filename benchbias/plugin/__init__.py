"""Plugins: hooks, signatures, discovery, the registry of components."""
