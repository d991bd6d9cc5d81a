"""The files of a board, and the page of all boards of a published folder."""
