"""How good the embeddings of a store are: all measures, figures and one page."""
