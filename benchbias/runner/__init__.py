"""A plan -> products, records, results."""
