"""Stages: one module a kind, each a function (Job) -> Made."""
