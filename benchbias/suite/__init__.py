"""benchmarks.toml -> checked tables and resolved settings."""
