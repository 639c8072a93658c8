"""Job files out of the command lines of other tools."""

from hpctrain.imports.map2map import Imported as Imported
from hpctrain.imports.map2map import import_map2map as import_map2map

__all__ = ["Imported", "import_map2map"]
