"""What every experiment shares: the protocol, splits with vectors, controls, provenance, intervals, comparisons."""
