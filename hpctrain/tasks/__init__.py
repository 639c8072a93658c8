"""Learning problems: one folder each, named in hpctrain.registry."""
