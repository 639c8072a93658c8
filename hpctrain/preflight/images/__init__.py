"""Whether an image fits a machine: MPI and launcher, libraries, drivers, and where it lies."""

from hpctrain.preflight.images.check import fit_findings as fit_findings
from hpctrain.preflight.images.facts import ImageFacts as ImageFacts
from hpctrain.preflight.images.look import read_image as read_image

__all__ = ["ImageFacts", "fit_findings", "read_image"]
