"""The entries of an audit from Python: `benchbias.audit`, its report, and the fixture of pytest. No torch."""
