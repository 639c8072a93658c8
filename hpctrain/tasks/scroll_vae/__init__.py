"""A variational auto-encoder of cubes out of scrolls."""

from hpctrain.tasks.scroll_vae.task import ScrollVaeTask as ScrollVaeTask

__all__ = ["ScrollVaeTask"]
