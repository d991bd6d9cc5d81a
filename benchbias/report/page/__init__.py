"""The page of a report: one HTML file that holds its data, its scripts and its style."""
