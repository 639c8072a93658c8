"""Encoders of two modalities whose embeddings of one scene agree."""

from hpctrain.tasks.vicreg.task import VicregTask as VicregTask

__all__ = ["VicregTask"]
