"""The key and the identity of every stage, and what decides them: sources, versions, the machine."""
