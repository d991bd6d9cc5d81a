"""A network looked at without changing it, and what it costs."""
