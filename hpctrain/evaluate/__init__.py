"""How good whole fields of trained networks are; named in hpctrain.registry."""
