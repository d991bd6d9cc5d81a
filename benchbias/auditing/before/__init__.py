"""Before the statistics: stops, what could be decided, examples that need labels, slices to look at."""
