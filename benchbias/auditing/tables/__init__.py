"""Tables of answers, labels and attributes, read to the values of an audit. No torch."""
