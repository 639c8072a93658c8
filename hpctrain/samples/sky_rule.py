"""The rule that indexes a sky sample, with the places of its nodes."""

from __future__ import annotations

from collections.abc import Sequence

from hpctrain.formats.sage_names import DIRECTIONS, ROWS
from hpctrain.samples.sky_plan import Node


def rule(cameras: Sequence[Node], half: tuple[int, int]) -> str:
    """A rule for `hpctrain index import`, and the margins that a job's `data.optical` takes.

    Args:
        cameras: nodes of the sample.
        half: columns and rows of the optical half.
    """
    numbers = range(1, len(DIRECTIONS) + 1)
    views = (
        f"  {name}: {[str(len(ROWS) * (n - 1) + row) for n in numbers]}"
        for row, name in enumerate(ROWS, 1)
    )
    lines = [
        "# Of this sample:  hpctrain index import train --rule rule.yaml",
        "# and in the job, what the thermal frame does not show of the optical half:",
        "#   data:",
        "#     optical:",
        "#       margins:",
        *(f"#         {node.name}: {_margins(node, half)}" for node in cameras),
        "modalities:",
        '  rgb: {files: "rgb/**/*.jpg", shape: majority}',
        '  thermal: {files: "thermal/**/*.csv"}',
        "pair: listed",
        "timestamp: auto",
        "position: 'name:[_-]position([A-Za-z0-9]+)'",
        "max_time_difference_s: 0.0",
        "views:",
        *views,
        "places:",
        *(
            f"  - {{node: {node.name}, latitude: {node.latitude:.4f}, "
            f"longitude: {node.longitude:.4f}}}"
            for node in cameras
        ),
    ]
    return "\n".join(lines) + "\n"


def _margins(node: Node, half: tuple[int, int]) -> list[float]:
    """left, top, right, bottom in shares of the optical half."""
    left, top, right, bottom = node.mount.crop(*half)
    edges = left / half[0], top / half[1], 1 - right / half[0], 1 - bottom / half[1]
    return [round(edge, 4) for edge in edges]
