"""Quick checks of files by their bytes: is it whole, what shape has it, does it hold values?"""

from hpctrain.index.quick.content import Content as Content
from hpctrain.index.quick.content import Look as Look
from hpctrain.index.quick.look import look as look

__all__ = ["Content", "Look", "look"]
