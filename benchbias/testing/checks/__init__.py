"""The checks themselves, by kind of component."""
