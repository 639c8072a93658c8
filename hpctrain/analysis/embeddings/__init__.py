"""Measures on embeddings of pairs, in blocks; they take arrays, or files that give slices."""
