"""hpctrain: from one YAML file to a trained model on any batch machine."""

__version__ = "0.1.0"
