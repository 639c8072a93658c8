"""Readers and writers of file formats: bytes to arrays and back, exactly; numpy, no torch."""
