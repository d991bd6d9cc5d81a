"""The cards of a report: methods and tasks, claims with verdicts, the manifest of the records."""
