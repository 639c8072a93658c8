"""Spectra, figures, report; import each file by itself, so that a report needs no torch."""
