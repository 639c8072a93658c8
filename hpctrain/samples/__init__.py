"""Generators of honest sample data, one a family; each writes a data card beside its files."""
