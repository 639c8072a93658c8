"""The block `data` of a job file out of map2map's options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from hpctrain.errors import ConfigError
from hpctrain.imports.map2map_options import WHERE

Block = dict[str, Any]
_NORMS = {"torch.exp": "exp", "torch.log": "log", "torch.expm1": "expm1", "torch.log1p": "log1p"}
_COSMOLOGY = ("cosmology.dis", "cosmology.vel")


class DataBlock:
    """The data of one command line, and what of it cannot be in a job file."""

    def __init__(self, given: argparse.Namespace, gpus: int) -> None:
        self.given, self.gpus = given, gpus
        self.misc = dict(given.misc_kwargs)
        self.notes: list[str] = []
        self.refused: list[str] = []

    def data(self) -> Block:
        """The block `data`."""
        given = self.given
        sides = {
            "inputs": given.train_in_patterns,
            "targets": given.train_tgt_patterns,
            "validation_inputs": given.val_in_patterns or [],
            "validation_targets": given.val_tgt_patterns or [],
        }
        root = _root([p for patterns in sides.values() for p in patterns])
        block: Block = {"kind": "fields", "root": root}
        for key, patterns in sides.items():
            if patterns:
                block[key] = [str(PurePath(p).relative_to(root)) for p in patterns]
        if bool(given.val_in_patterns) != bool(given.val_tgt_patterns):
            one, other = "--val-in-patterns", "--val-tgt-patterns"
            one, other = (one, other) if given.val_in_patterns else (other, one)
            self.refused.append(f"{one}: has no effect without {other}; give both or none")
        if not sides["validation_inputs"] or not sides["validation_targets"]:
            block.pop("validation_inputs", None)
            block.pop("validation_targets", None)
            block["validation_steps"] = 1
            self.notes.append("validation: none is asked for; the last file is kept for it")
        block["geometry"] = "box"
        block |= self._crops() | {"normalization": "none"}
        for key, names in (("input_norms", given.in_norms), ("target_norms", given.tgt_norms)):
            if names:
                block[key] = [self._norm(key, name) for name in names]
        augment: Block = {"octahedral": given.augment}
        if given.aug_shift:
            augment |= {"random_shift": True, "max_shift": _triple(given.aug_shift)}
        if given.aug_add:
            augment["additive_std"] = given.aug_add
        if given.aug_mul:
            augment["multiplicative_std"] = given.aug_mul
        return {**block, "augment": augment, **self._order()}

    def _order(self) -> Block:
        """Files dealt to ranks in each epoch, as map2map does."""
        given = self.given
        if not given.div_data:
            return {}
        distance = 1.0 if given.div_shuffle_dist is None else given.div_shuffle_dist
        self.notes.append(
            "--div-data, --div-shuffle-dist: data.order, where the distance counts from the place "
            "of each sample, not of its file, so that samples of about one file more are mixed; "
            "deal: fixed would leave each rank its files"
        )
        order = {"kind": "divided", "shuffle_distance": distance, "deal": "each_epoch"}
        return {"order": order}

    def _crops(self) -> Block:
        given = self.given
        if given.crop is None:
            self.refused.append("--crop: is missing, so a sample is a whole field; give its size")
            return {"crop": [1, 1, 1]}
        block: Block = {"crop": _triple(given.crop)}
        for key, value in (
            ("crop_start", given.crop_start),
            ("crop_stop", given.crop_stop),
            ("stride", given.crop_step),
        ):
            if value is not None:
                block[key] = _triple(value)
        return block

    def _norm(self, key: str, name: str) -> Block:
        if name in _COSMOLOGY:
            options = {
                here: self.given.misc_kwargs[there]
                for here, there in (("redshift", "z"), ("deviation", "dis_std"))
                if there in self.given.misc_kwargs
            }
            for there in ("z", "dis_std"):
                self.misc.pop(there, None)
            return {"kind": name, "options": options} if options else {"kind": name}
        if name in _NORMS:
            return {"kind": _NORMS[name]}
        option = "--in-norms" if key == "input_norms" else "--tgt-norms"
        self.refused.append(
            f"{option}: {name} is a function with undo=; make it a class with normalize(values) "
            "and denormalize(values), and name that in the job file"
        )
        return {"kind": "none"}


def _triple(values: Sequence[int]) -> list[int]:
    """One number for all axes, or one each."""
    found = list(values) * 3 if len(values) == 1 else list(values)
    if len(found) != 3:
        raise ConfigError(f"{WHERE}: found {','.join(map(str, values))}; allowed: 1 or 3 numbers")
    return found


def _root(patterns: Sequence[str]) -> str:
    """The deepest folder without wildcards that all patterns lie in."""
    parts = [PurePath(p).parts for p in patterns]
    common = []
    for column in zip(*(p[:-1] for p in parts), strict=False):
        if len(set(column)) > 1 or any(c in column[0] for c in "*?["):
            break
        common.append(column[0])
    if not common and any(PurePath(p).is_absolute() for p in patterns):
        raise ConfigError(f"{WHERE}: patterns are relative and absolute; give all in one way")
    return str(PurePath(*common)) if common else "."
