"""`hpctrain evaluate`: whole validation fields of the newest checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hpctrain.analysis.calibration import CalibrationSum
from hpctrain.analysis.globe import Measures
from hpctrain.analysis.grid import Grid, wave_numbers
from hpctrain.analysis.whole_files import NUMBERS, PARTIAL, PICTURES
from hpctrain.data.geometry import modes_of
from hpctrain.errors import DataError
from hpctrain.evaluate.fields import WholeFields
from hpctrain.evaluate.finite import NotFiniteError, check_finite, each_finite
from hpctrain.evaluate.pictures import Pictures
from hpctrain.predict.progress import TileProgress
from hpctrain.provenance import embed, stamp_run
from hpctrain.train.json_file import write_json


def evaluate_run(
    run_dir: Path,
    members: int,
    fields: int | None,
    say: Callable[[str], None] = lambda _: None,
    *,
    memory_mb: int | None = None,
) -> dict[str, Any]:
    """Evaluate whole validation fields, and write eval/whole.json and eval/whole.npz.

    Memory: two whole fields (truth and one other), about as much again as one variable of them
    where its distribution is measured, 40 bytes for each number of a block of at most 4 million,
    and the activations of one tile. It grows neither with the members nor with the files.

    Args:
        run_dir: has a checkpoint.
        members: draws of the generator's noise for its calibration; less than 2: none.
        fields: of the validation, the first so many; None: all.
        say: takes a line a field.
        memory_mb: for the activations of a tile; None: as `hpctrain predict`.

    Returns:
        What stands in eval/whole.json.

    Raises:
        ConfigError: the job trains no fields.
        CheckpointError: there is no whole checkpoint, or it is of another generator.
        DataError: there are no validation files, or they cannot be read, or a field is not
            finite; what was measured until then is in eval/whole.partial.json.
    """
    run_dir = run_dir.resolve()
    source = WholeFields(run_dir, memory_mb)
    targets, count = source.targets, min(len(source), fields or len(source))
    members = members if source.has_noise and members > 1 else 0
    grid = Grid.of(
        targets.coordinates(),
        source.job.fields.geometry,
        radius_unit=targets.radius_unit,
        is_periodic=set(modes_of(source.job.fields)) == {"periodic"},
    )
    folder = run_dir / "eval"
    folder.mkdir(exist_ok=True)
    passes = count * (1 + members)
    progress = TileProgress(
        source.num_tiles * passes, math.prod(targets.shape) * passes, is_shown=True
    )
    head = {**_head(source, grid), "members": members}
    steps: list[dict[str, Any]] = []
    (folder / PARTIAL).unlink(missing_ok=True)
    axes = grid.radii, grid.latitudes, grid.longitudes
    with Pictures(folder / PICTURES, axes, targets.shape, count) as pictures:
        for file in range(count):
            try:
                found = _measure(source, file, grid, pictures, members, progress)
            except NotFiniteError as e:
                progress.end()
                write_json(folder / PARTIAL, {**head, "steps": steps})
                raise DataError(
                    f"{targets.name(file)}: {e}; the numbers of the fields before it "
                    f"({len(steps)} of {count}) are in {folder / PARTIAL}"
                ) from e
            steps.append({"name": targets.name(file), **found})
            progress.end()
            say(f"{targets.name(file)}: {_words(found)}")
    page = {**head, "steps": steps}
    write_json(folder / NUMBERS, page)
    stamp = stamp_run(run_dir, "evaluation", **source.facts)
    for name in (NUMBERS, PICTURES):
        embed(folder / name, stamp)
    return page


def _head(source: WholeFields, grid: Grid) -> dict[str, Any]:
    """What holds for all fields."""
    k, k_unit = wave_numbers(grid, source.targets.shape)
    return {
        "epoch": source.facts["epoch"],
        "geometry": grid.kind,
        "variables": list(source.variables),
        "units": list(source.targets.units),
        "radii": None if grid.radii is None else grid.radii.tolist(),
        "k": k,
        "k_unit": k_unit,
        "tiles": source.words,
    }


def _measure(
    source: WholeFields,
    file: int,
    grid: Grid,
    pictures: Pictures,
    members: int,
    progress: TileProgress,
) -> dict[str, Any]:
    """Numbers of one field; of what it is compared with one field at a time is in memory."""
    truth = source.truth(file)
    check_finite(truth, source.variables, "holds", "mend the file, or leave it out of the data")
    maker = f"the network of {source.facts['checkpoint']} makes"
    pictures.add(file, "truth", truth)
    measures = Measures(truth, source.variables, grid)
    for kind in ("generator", *source.yardsticks):
        if kind == "generator":
            field = source.generated(file, progress.add)
            check_finite(field, source.variables, maker)
        else:
            field = source.upsampled(file, kind)
        pictures.add(file, kind, field)
        measures.add(kind, field)
        del field  # before the next one is made
    if members:
        sums = CalibrationSum(len(truth), members)
        for cells, drawn in source.members(file, members, progress.add):
            rows = None if grid.weights is None else grid.weights[cells[1], None]
            known = each_finite(drawn, source.variables, f"with noise {maker}")
            sums.add(truth[(slice(None), *cells)], known, rows)
        measures.calibrate(sums)
    source.release(file)
    return measures.page()


def _words(step: Mapping[str, Any]) -> str:
    """One time step in a line: errors of the generator as a share of the yardstick's."""
    kinds = step["rmse"]
    yardstick = next((k for k in kinds if k != "generator"), None)
    texts = []
    for variable, errors in kinds["generator"].items():
        ours = float(np.sqrt(np.mean(np.square(errors))))
        text = f"{variable} RMSE {ours:.3g}"
        if yardstick:
            theirs = float(np.sqrt(np.mean(np.square(kinds[yardstick][variable]))))
            text += f" ({ours / theirs:.2f} of {yardstick})" if theirs else ""
        texts.append(text)
    return ", ".join(texts)
