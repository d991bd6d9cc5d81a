"""First-party plugins, a module or package each: methods, probes, analyses, data sets, networks, metrics."""
