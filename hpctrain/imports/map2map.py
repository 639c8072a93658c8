"""A job file that does what a command line of map2map does.

Every option is mapped, or noted where nothing is left to do, or refused with the reason. What is
refused is told all at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import yaml

from hpctrain.config.document import parse
from hpctrain.config.job import Job
from hpctrain.config.layers import Layers
from hpctrain.errors import ConfigError
from hpctrain.imports.map2map_options import WHERE, parse_command

Block = dict[str, Any]
_NORMS = {"torch.exp": "exp", "torch.log": "log", "torch.expm1": "expm1", "torch.log1p": "log1p"}
_COSMOLOGY = ("cosmology.dis", "cosmology.vel")
_CRITERIA = {
    "BCEWithLogitsLoss": "bce",
    "WDistLoss": "wasserstein",
    "MSELoss": "least_squares",
}
_OWN_CRITERIA = ("DiceLoss", "WDistLoss")
_OPTIMIZER = ("betas", "weight_decay", "momentum", "nesterov", "eps")
_PLATEAU = {"mode": "mode", "factor": "factor", "patience": "patience", "threshold": "threshold"}


@dataclass
class Imported:
    """What came out of a command line."""

    text: str
    """The job file."""
    notes: list[str] = field(default_factory=list)
    """What is done in another way here."""


def import_map2map(command: str, name: str = "map2map", gpus: int = 1) -> Imported:
    """Translate `m2m.py train ...` into a job file.

    Args:
        command: the command line.
        name: of the job.
        gpus: over which map2map ran; its batch size is that of one.

    Raises:
        ConfigError: options that have no equivalent, all at once; or no such command line.
    """
    made = _Import(parse_command(command), gpus)
    job: Block = {"version": 1, "name": name, "site": "auto", **made.resources()}
    if made.given.callback_at:
        job["code"] = [made.given.callback_at]
    job |= {"data": made.data(), "train": made.train()}
    made.leave()
    if made.refused:
        raise ConfigError("\n".join(f"{WHERE}: {line}" for line in made.refused))
    head = [f"# From: {' '.join(command.split())}", "#", *(f"# {note}" for note in made.notes), ""]
    body = yaml.safe_dump(job, sort_keys=False, default_flow_style=None, width=100)
    text = "\n".join(head) + body
    layers = Layers()
    layers.add(parse(text, f"{name}.yaml"))
    layers.validate(Job)  # what comes out is a job that renders, or an error
    return Imported(text, made.notes)


class _Import:
    """One translation: blocks of the job file, and what cannot be in them."""

    def __init__(self, given: argparse.Namespace, gpus: int) -> None:
        self.given, self.gpus = given, gpus
        self.misc = dict(given.misc_kwargs)
        self.notes: list[str] = []
        self.refused: list[str] = []

    def resources(self) -> Block:
        """Ranks, as map2map has one a GPU."""
        ask = {
            "nodes": 1,
            "ranks_per_node": self.gpus,
            "gpus_per_rank": 0 if self.given.dist_backend == "gloo" else 1,
            "walltime": "01:00:00",
        }
        self.notes.append("resources: one node and an hour are a guess; the command line has none")
        return {"resources": ask}

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
        return {**block, "augment": augment}

    def train(self) -> Block:
        """The block `train`."""
        given, factor = self.given, self.given.scale_factor
        block: Block = {
            "task": "super_resolution" if factor > 1 else "field_to_field",
            "upscale_factor": factor,
            "epochs": given.epochs,
            "global_batch_size": given.batch_size * self.gpus,
            "seed": given.seed,
            "criterion": given.criterion,
            "generator": self._generator(),
            "optimizer": self._optimizer(given.lr, given.optimizer_args, "--optimizer-args"),
            "log_every_steps": given.log_interval,
        }
        if given.reduce_lr_on_plateau:
            block["schedule"] = {"kind": "plateau", "plateau": self._plateau()}
        elif given.scheduler_args:
            self.refused.append("--scheduler-args: has no effect without --reduce-lr-on-plateau")
        if given.adv_model:
            block["pretrain_epochs"] = given.adv_start
            block["adversary"] = self._adversary()
        if given.load_state:
            block["initial_weights"] = {"path": given.load_state}
            self.notes.append(
                "--load-state: weights only; a run of its own goes on by itself, and its "
                "path counts from data.root here"
            )
        return block

    def leave(self) -> None:
        """What needs nothing here, and what has no equivalent."""
        given = self.given
        for flag, text in (
            (given.in_pad, "--in-pad: left out; the halo is computed from the network"),
            (given.loader_workers is not None, "--loader-workers: left out; measured at the start"),
            (given.div_data, "--div-data: left out; crops are read without whole files"),
            (given.detect_anomaly, "--detect-anomaly: left out; non_finite names sample and layer"),
            (given.dist_backend, "--dist-backend: left out; it follows from the device"),
        ):
            if flag:
                self.notes.append(text)
        if given.div_shuffle_dist is not None and not given.div_data:
            self.refused.append("--div-shuffle-dist: has no effect without --div-data")
        for flag, text in (
            (
                given.train_style_pattern or given.val_style_pattern,
                "--train-style-pattern, --val-style-pattern: each style is an npy file; write "
                "a table and name it as data.styles, with generator.kind styled",
            ),
            (
                given.criterion in _OWN_CRITERIA,
                f"--criterion: {given.criterion} is map2map's own; name a class of your code",
            ),
            (
                any(given.tgt_pad or ()),
                "--tgt-pad: the output is cut to the target here; leave it out",
            ),
            (
                given.init_weight_std is not None,
                "--init-weight-std: raises a NameError in map2map, too; leave it out",
            ),
            (
                given.load_state_non_strict,
                "--load-state-non-strict: weights that do not fit are an error here; leave it out",
            ),
        ):
            if flag:
                self.refused.append(text)
        known = ", ".join(self.misc)
        if self.misc:
            self.refused.append(
                f"--misc-kwargs: nothing takes {known}, which map2map would swallow; leave it out"
            )

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

    def _generator(self) -> Block:
        model = self.given.model
        if model in ("UNet", "VNet"):
            block: Block = {"kind": model.lower()}
            if "bypass" in self.misc:
                block["bypass"] = self.misc.pop("bypass")
            return block
        if model in ("srsgan.G", "G"):
            noise = "concatenate" if self.misc.pop("cat_noise", False) else "add"
            return {
                "kind": "srsgan",
                "channels": self._widths(),
                "noise": noise,
                "projection": "leaky",
            }
        return self._own("--model", model)

    def _own(self, option: str, model: str) -> Block:
        if "." not in model:
            self.refused.append(
                f"{option}: {model} has no equivalent; allowed: UNet, VNet, srsgan.G, srsgan.D, "
                "PatchGAN, or module.Class of your own code"
            )
            return {"kind": "module.Class"}
        options, self.misc = self.misc, {}
        self.notes.append(f"{option}: {model} is made as Class(channels, **options) here")
        return {"kind": model, "options": options} if options else {"kind": model}

    def _widths(self) -> Block:
        misc = self.given.misc_kwargs
        for key in ("chan_base", "chan_min", "chan_max"):
            self.misc.pop(key, None)
        return {
            "base": misc.get("chan_base", 512),
            "min": misc.get("chan_min", 64),
            "max": misc.get("chan_max", 512),
        }

    def _optimizer(self, rate: float, options: Block, option: str) -> Block:
        known = {k: v for k, v in options.items() if k in _OPTIMIZER}
        for key in options:
            if key not in known:
                self.refused.append(f"{option}: {key} cannot be set here; leave it out")
        if self.given.optimizer in ("Adam", "AdamW", "NAdam", "RAdam", "Adamax"):
            known.setdefault("betas", [0.9, 0.999])  # torch's, where the block's own are others
        return {"name": self.given.optimizer, "learning_rate": rate, **known}

    def _plateau(self) -> Block:
        given = self.given
        metric = "validation/rmse/generator" if given.val_in_patterns else "train/loss/generator"
        block: Block = {"metric": metric, "threshold": 1e-4, "patience": 10, "factor": 0.1}
        for key, value in given.scheduler_args.items():
            if key in _PLATEAU:
                block[_PLATEAU[key]] = value
            elif key != "verbose":
                self.refused.append(f"--scheduler-args: {key} cannot be set here; leave it out")
        return block

    def _adversary(self) -> Block:
        given = self.given
        loss = _CRITERIA.get(given.adv_criterion.rpartition(".")[2])
        if loss is None:
            known = ", ".join(_CRITERIA)
            self.refused.append(
                f"--adv-criterion: {given.adv_criterion} has no equivalent; choose from {known}"
            )
            loss = "bce"
        options = given.optimizer_args if given.adv_optimizer_args is None else None
        rate = given.lr if given.adv_lr is None else given.adv_lr
        block: Block = {
            "discriminator": self._critic(),
            "optimizer": self._optimizer(
                rate, options or given.adv_optimizer_args or {}, "--adv-optimizer-args"
            ),
            "loss": loss,
            "gradient_penalty": self._penalty(loss),
            "critic_steps": given.adv_iter_ratio,
            "conditional": given.cgan,
            "spectral_norm": given.adv_model_spectral_norm,
        }
        if given.adv_label_smoothing != 1:
            block["label_smoothing"] = round(1 - given.adv_label_smoothing, 10)
        if given.instance_noise:
            epochs = max(given.epochs - given.adv_start, 1)
            block["instance_noise"] = {"std": given.instance_noise, "epochs": epochs}
            self.notes.append(
                f"--instance-noise-batches: the noise falls by epoch here, to zero in {epochs}; "
                f"{given.instance_noise_batches:g} batches are these divided by batches an epoch"
            )
        return block

    def _critic(self) -> Block:
        model = self.given.adv_model
        if model in ("srsgan.D", "D"):
            return {"kind": "srsgan", "channels": self._widths()}
        if model == "PatchGAN":
            return {"kind": "patch", "norm": "batch"}
        return self._own("--adv-model", model)

    def _penalty(self, loss: str) -> Block | None:
        given = self.given
        if given.adv_r1_reg_interval:
            return {"kind": "r1", "weight": 10.0, "every": given.adv_r1_reg_interval}
        every = given.adv_wgan_gp_interval
        if every is None and loss == "wasserstein":
            self.notes.append("gradient penalty: that of map2map's wgan branch, as none is named")
            every = 1
        return {"kind": "wgan_gp", "weight": 10.0, "every": every} if every and every > 0 else None


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
