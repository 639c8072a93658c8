"""The probability of ink over a whole flattened segment, window by window."""
