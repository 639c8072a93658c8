"""`hpctrain evaluate`: whole validation fields of the newest checkpoint."""

from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hpctrain.analysis.figures import pick_layers
from hpctrain.analysis.globe import Grid, measure, wave_numbers
from hpctrain.analysis.whole_files import NUMBERS, PICTURES
from hpctrain.comm import Ranks, start
from hpctrain.config.task import FieldTraining
from hpctrain.data.geometry import modes_of
from hpctrain.errors import CheckpointError, ConfigError
from hpctrain.provenance import embed, stamp_run
from hpctrain.registry import resolve, tasks
from hpctrain.tasks.super_resolution.task import SuperResolutionTask
from hpctrain.tasks.super_resolution.whole import Array, Tiles
from hpctrain.train.checkpoint import CheckpointFolder
from hpctrain.train.ema import averages_of, put_averages
from hpctrain.train.json_file import write_json
from hpctrain.train.run import Run
from hpctrain.train.stamps import checkpoint_facts
from hpctrain.train.task import Place

SHOWN = ("truth", "trilinear", "input", "generator")


def evaluate_run(
    run_dir: Path,
    members: int,
    fields: int | None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Evaluate whole validation fields, and write eval/whole.json and eval/whole.npz.

    Args:
        run_dir: has a checkpoint.
        members: draws of the generator's noise for its calibration; less than 2: none.
        fields: of the validation, the first so many; None: all.
        say: takes a line a field.

    Returns:
        What stands in eval/whole.json.

    Raises:
        ConfigError: the job trains no fields, or its samples cover none.
        CheckpointError: there is no whole checkpoint, or it is of another generator.
    """
    run = Run(run_dir)
    if not isinstance(run.job.train, FieldTraining):
        raise ConfigError(f"train.task: hpctrain evaluate knows no {run.job.train.task}")
    sys.path[:0] = [str(run.path / "code" / "user")]
    torch.set_num_threads(run.job.resources.cpus_per_rank)
    task, facts = _trained(run)
    generator = task.models["generator"].eval()
    validation = task.evaluation.dataset
    tiles = Tiles(
        validation, generator, task.factor, task.halo, task.place.device, task.settings.seed
    )
    has_noise = getattr(generator, "has_noise", False) and members > 1
    draws = range(members) if has_noise else ()
    grid = Grid.of(
        tiles.coordinates(),
        run.job.data.geometry,
        radius_unit=tiles.radius_unit,
        is_periodic=set(modes_of(run.job.data)) == {"periodic"},
    )
    steps, pictures = [], _Pictures(tiles, (grid.radii, grid.latitudes, grid.longitudes))
    for file in range(min(tiles.num_files, fields or tiles.num_files)):
        found = tiles.fields(file, list(draws))
        drawn = found.pop("members", None)
        steps.append(
            {"name": tiles.name(file), **measure(found, drawn, tiles.dataset.variables, grid)}
        )
        pictures.add(found)
        say(f"{tiles.name(file)}: {_words(steps[-1])}")
    size = tiles.fields_size
    k, k_unit = wave_numbers(grid, size)
    page = {
        "epoch": facts["epoch"],
        "geometry": grid.kind,
        "variables": list(validation.variables),
        "units": list(validation.units),
        "members": len(draws),
        "radii": None if grid.radii is None else grid.radii.tolist(),
        "k": k,
        "k_unit": k_unit,
        "steps": steps,
    }
    write_json(run.path / "eval" / NUMBERS, page, allow_nan=False)
    pictures.write(run.path / "eval" / PICTURES)
    stamp = stamp_run(run.path, "evaluation", **facts)
    for name in (NUMBERS, PICTURES):
        embed(run.path / "eval" / name, stamp)
    return page


def _trained(run: Run) -> tuple[SuperResolutionTask, dict[str, Any]]:
    """The task with the weights of its newest whole checkpoint, and that one's facts for a stamp.

    The facts are taken now: a training that goes on may soon have newer checkpoints, and not this
    one any more.
    """
    folder = CheckpointFolder(run.path / "checkpoints", keep_last=1)
    found = folder.load_newest()
    if found is None:
        raise CheckpointError(f"{run.path}: has no checkpoint yet; train it first")
    path, saved = folder.path / found[0], found[1]
    facts = checkpoint_facts(path, saved)
    comm = start("single", Ranks(0, 1, 0, 1, socket.gethostname()), run.path)
    made = resolve(tasks()[run.job.train.task])(run.job, Place(run.path, 0, comm.device))
    assert isinstance(made, SuperResolutionTask)
    made.build_data(saved["task"], lambda value: value)
    made.models = made.build_models()
    model = made.models["generator"]
    averages, settings = averages_of(saved, "generator"), run.job.train.ema
    try:
        model.load_state_dict(saved["models"]["generator"])
        if averages is not None and settings and settings.validate_with:
            put_averages(model, averages)
    except (RuntimeError, KeyError) as e:
        raise CheckpointError(
            f"{path}: holds another generator than config.yaml asks for "
            f"({str(e).splitlines()[0]}); put the run's train block back"
        ) from e
    model.to(comm.device)
    return made, facts


class _Pictures:
    """Some shells and one meridian of each time step."""

    def __init__(self, tiles: Tiles, coordinates: Sequence[Any]) -> None:
        radii = coordinates[0]
        rises = radii is not None and radii[-1] > radii[0]
        self._layers = pick_layers(tiles.fields_size[0])[:: -1 if rises else 1]  # the top first
        self._arrays: dict[str, list[Array]] = {}
        self._axes = {
            name: np.asarray(values)
            for name, values in zip(("radii", "latitudes", "longitudes"), coordinates, strict=True)
            if values is not None
        }

    def add(self, fields: Mapping[str, Array]) -> None:
        """Take what is shown of one time step."""
        for kind in SHOWN:
            if kind in fields:
                shells = fields[kind][:, self._layers].copy()
                self._arrays.setdefault(f"shells/{kind}", []).append(shells)
                self._arrays.setdefault(f"section/{kind}", []).append(fields[kind][..., 0].copy())

    def write(self, path: Path) -> None:
        """Write them under a temporary name, then rename."""
        buffer = io.BytesIO()
        arrays = {key: np.stack(values) for key, values in self._arrays.items()}
        np.savez_compressed(buffer, layers=np.array(self._layers), **self._axes, **arrays)  # type: ignore[arg-type]
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        part.write_bytes(buffer.getvalue())
        part.replace(path)


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
