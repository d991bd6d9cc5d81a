"""A module of a namespace package: no folder above it has an __init__.py."""

from lab_prunes.first.scoring import namespaced

from benchbias import hookimpl


@hookimpl
def benchbias_pruners():
    return {"namespaced": namespaced}
