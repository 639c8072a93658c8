"""Names to `module:Class`, as literal tables, so that listing a name imports nothing heavy.

The job half reaches the training half only through these strings. Other packages add tasks
through the entry-point group `hpctrain.tasks`.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Any

from hpctrain.errors import ConfigError

TASKS = {
    "super_resolution": "hpctrain.tasks.super_resolution:SuperResolutionTask",
    "field_to_field": "hpctrain.tasks.super_resolution:FieldToFieldTask",
    "field_gan": "hpctrain.tasks.field_gan:FieldGanTask",
    "scroll_vae": "hpctrain.tasks.scroll_vae:ScrollVaeTask",
    "ink": "hpctrain.tasks.ink:InkTask",
    "vicreg": "hpctrain.tasks.vicreg:VicregTask",
    "dino": "hpctrain.tasks.dino:DinoTask",
}

SAMPLES = {
    "mantle": "hpctrain.samples.mantle:write_sample",
    "nbody": "hpctrain.samples.nbody:write_sample",
    "scroll": "hpctrain.samples.scroll:write_sample",
    "sky": "hpctrain.samples.sky:write_sample",
}

REPORT = "hpctrain.analysis.report:write_report"
INSPECT = "hpctrain.formats.inspect:inspect_file"
HDF5_HEADER = "hpctrain.formats.hdf5:with_coordinates"
CONVERT = "hpctrain.convert.command:run"
MODELS = "hpctrain.tasks.super_resolution.listing:list_models"
GENERATE = "hpctrain.tasks.field_gan.sampling:make_fields"
SMOKE = {
    "super_resolution": "hpctrain.tasks.super_resolution.smoke:smoke_run",
    "field_to_field": "hpctrain.tasks.super_resolution.smoke:smoke_run",
    "field_gan": "hpctrain.tasks.field_gan.smoke:smoke_run",
    "scroll_vae": "hpctrain.tasks.scroll_vae.smoke:smoke_run",
    "ink": "hpctrain.tasks.scroll_vae.smoke:smoke_run",
    "vicreg": "hpctrain.tasks.pairs.smoke:smoke_run",
    "dino": "hpctrain.tasks.pairs.smoke:smoke_run",
}
EVALUATE = "hpctrain.evaluate.command:evaluate_run"
EVALUATE_EMBEDDINGS = "hpctrain.evaluate.embeddings.command:evaluate"
EVALUATE_CHOICE = "hpctrain.evaluate.embeddings.choice:Choice"
EMBED = "hpctrain.embed.command:embed"
EMBED_OPTIONS = "hpctrain.embed.options:Options"
PROFILE = "hpctrain.train.profile_run:profile_run"
PREDICT = "hpctrain.predict.start:predict"
PREDICT_OPTIONS = "hpctrain.predict.options:Options"


def tasks() -> dict[str, str]:
    """Own tasks and those of installed packages; a duplicate name is an error."""
    table = dict(TASKS)
    for point in entry_points(group="hpctrain.tasks"):
        if point.name in table:
            raise ConfigError(
                f"task {point.name!r} is defined by both {table[point.name]!r} and "
                f"{point.value!r}; "
                "uninstall one of the two packages"
            )
        table[point.name] = point.value
    return table


def resolve(target: str, extras: str = "train,analysis") -> Any:
    """Import `module:name` and return the object.

    Args:
        target: what to import.
        extras: of hpctrain, that bring the packages it needs.

    Raises:
        ConfigError: the module or the name does not exist; names the missing package.
    """
    module_name, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"{target}: needs the package {e.name!r}, which is not installed; "
            f"install it with: pip install 'hpctrain[{extras}]'"
        ) from e
    except AttributeError as e:
        raise ConfigError(f"{target}: module {module_name!r} has no {name!r}") from e
