"""A component called as a stage calls it, and the call watched."""
