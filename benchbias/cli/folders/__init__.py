"""Verbs on a results folder: the state of a plan's trials in it, its examination, its cleaning."""
