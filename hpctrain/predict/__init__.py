"""Whole fields out of trained networks, tile by tile; named in hpctrain.registry."""
