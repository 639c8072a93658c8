"""What a prediction says of its tiles: in the log, and in the files that it writes."""

from __future__ import annotations

from collections.abc import Sequence

from hpctrain.data.inputs import FieldInputs
from hpctrain.log import logger
from hpctrain.predict.choose import Tiling
from hpctrain.predict.trained import Trained


def tell_plan(trained: Trained, inputs: FieldInputs, tiling: Tiling, where: str) -> None:
    """Log once what is predicted with what, and why tiles are blended where they are.

    Args:
        trained: the network.
        inputs: the fields.
        tiling: their tiles.
        where: device and precision.
    """
    facts = trained.facts
    logger.info(
        "%s, %s weights; %s input cells to %s, on %s",
        facts["checkpoint"],
        "averaged" if trained.weights == "ema" else "last",
        _by(inputs.shape),
        _by(tiling.plan.shape),
        where,
    )
    count = tiling.plan.num_tiles
    logger.info(
        "%d tile%s of %s input cells, with %s around each%s",
        count,
        "s" * (count > 1),
        _by(tiling.plan.tile),
        _by(tiling.halo),
        "" if tiling.why_blended else ": the same as in one piece",
    )
    if tiling.why_blended and (tiling.plan.is_blended or count > 1):
        shared = [
            f"{axis.overlap} of {name}"
            for axis, name in zip(tiling.plan.axes, inputs.dims, strict=True)
            if axis.overlap
        ]
        over = ", ".join(shared).replace(" of", " cells of", 1) or "no cells"
        logger.info("tiles are blended over %s: %s", over, tiling.why_blended)
    if inputs.fields.padding and "none" in inputs.fields.padding:
        logger.warning(
            "data.padding: none kept the training off the edges; here the outermost cells are "
            "repeated beyond them, so the outer %s cells are less sure",
            _by(tiling.halo),
        )


def tell_of_fine_input() -> None:
    """Log that an input may be meant to be coarsened."""
    logger.warning(
        "the input has as many cells as the fine fields of the training; if it is one of them, "
        "predict from its block means with --coarsen"
    )


def tell_of_tiled_noise(*, is_planar: bool) -> None:
    """Log that noise depends on how a field is cut into tiles."""
    logger.warning(
        "noise: %s, so that each tile draws its own: other tiles give another field of the same "
        "kind, and edges of tiles may show; predict with --no-noise where that matters",
        "planes have no third axis to place it on"
        if is_planar
        else "the network's layers of noise cannot be located",
    )


def words_of(tiling: Tiling) -> str:
    """Tiles, halo and overlap in one line."""
    shared = _by([axis.overlap for axis in tiling.plan.axes])
    return f"{_by(tiling.plan.tile)} input cells, halo {_by(tiling.halo)}, overlap {shared}"


def _by(values: Sequence[int]) -> str:
    """Sizes along the axes; one number where nothing is there at all."""
    return " x ".join(map(str, values)) if any(values) else "0"
