"""What each kind of stage does: one module a kind, each a function (Job) -> Made."""
