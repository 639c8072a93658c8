"""Copies of data files on a disk of the node's own, shared by all runs there that read them."""

from hpctrain.staging.copying import Progress as Progress
from hpctrain.staging.copying import Source as Source
from hpctrain.staging.folder import expand as expand
from hpctrain.staging.folder import release as release
from hpctrain.staging.stage import Outcome as Outcome
from hpctrain.staging.stage import Stage as Stage
from hpctrain.staging.stage import size_text as size_text

__all__ = ["Outcome", "Progress", "Source", "Stage", "expand", "release", "size_text"]
