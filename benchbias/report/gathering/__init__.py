"""Records and stored artifacts of suites, gathered to the one JSON document of a report."""
