"""The verb `audit`: its options, the three ways to answers, and what it writes."""
