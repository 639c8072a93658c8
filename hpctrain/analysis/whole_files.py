"""What `hpctrain evaluate` leaves below eval/, by name; those who draw it need no torch."""

from collections.abc import Sequence

NUMBERS = "whole.json"
PICTURES = "whole.npz"
PARTIAL = "whole.partial.json"
"""Numbers of the fields before the one that could not be measured."""
SEGMENTS, SEGMENTS_TABLE, SEGMENTS_FIGURE = "segments.json", "segments.csv", "segments.png"
"""Of ink: numbers, curves by threshold, and these drawn."""
CUBES, CUBES_TABLE = "cubes.json", "cubes.csv"
"""Of a VAE: numbers, and a line a cube."""
MAX_FRAMES = 120
"""Of an animation; of more time steps as many are chosen."""


def middle_of(layers: Sequence[int]) -> int:
    """The one of some layers that is shown over time."""
    return layers[len(layers) // 2]
