"""RO-Crates of runs."""
