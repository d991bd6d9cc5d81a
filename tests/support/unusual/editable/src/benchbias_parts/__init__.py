"""A plugin of several modules: the hooks are brought together here."""

from benchbias_parts.inner.prune import benchbias_pruners as benchbias_pruners

from .metric import benchbias_metrics as benchbias_metrics
