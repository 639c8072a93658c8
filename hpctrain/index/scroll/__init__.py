"""The index of a `data:` block of scrolls: volumes, and the cells of each split."""
