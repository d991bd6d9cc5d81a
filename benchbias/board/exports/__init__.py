"""Boards for other programs and for terminals: every column of a row, files by suffix, a table that fits."""
