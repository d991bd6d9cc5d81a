"""The report of suites: one self-contained HTML file, made of records and stored artifacts alone."""
