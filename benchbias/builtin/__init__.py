"""The core's own components: ordinary plugin modules, found by the same entry points as anybody's."""
