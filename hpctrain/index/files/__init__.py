"""The files below a root: which there are, what their bytes say, and what is known already."""

from hpctrain.index.files.facts import Fact as Fact
from hpctrain.index.files.facts import FactCache as FactCache
from hpctrain.index.files.scan import scan as scan

__all__ = ["Fact", "FactCache", "scan"]
