"""The index of a `data:` block of fields: which files, on which grid, and whether samples fit."""
