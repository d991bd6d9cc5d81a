"""First-party methods, one plugin module each."""
