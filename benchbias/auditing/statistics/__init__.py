"""The statistics of an audit: bounds and tests of harm, jointly over groups, over clusters, and their power."""
