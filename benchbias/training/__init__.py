"""The training loop, and what trainers, pruners and probes work with."""
