"""Ground: canonical JSON, whole files, processes."""
