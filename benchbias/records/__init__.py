"""Records: everything that is kept of a trial and of an analysis."""
