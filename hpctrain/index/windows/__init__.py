"""Windows of volumes: rows of parts of a sample, each with its place."""
