"""Readers and writers of file formats: numpy and the formats' own libraries, no torch."""
