"""Convert data to the stores that a training reads fastest, in bounded memory."""
