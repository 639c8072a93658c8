"""Embeddings of all samples of a run: the store, and the command that fills it."""
