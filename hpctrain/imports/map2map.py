"""A job file that does what a command line of map2map does.

Every option is mapped, or noted where nothing is left to do, or refused with the reason. What is
refused is told all at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

from hpctrain.config.document import parse
from hpctrain.config.job import Job
from hpctrain.config.layers import Layers
from hpctrain.errors import ConfigError
from hpctrain.imports.map2map_data import Block
from hpctrain.imports.map2map_options import WHERE, adversarial_given, parse_command
from hpctrain.imports.map2map_train import OWN_CRITERIA, TrainBlock


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


class _Import(TrainBlock):
    """One translation: blocks of the job file, and what cannot be in them."""

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

    def leave(self) -> None:
        """What needs nothing here, and what has no equivalent."""
        given = self.given
        for flag, text in (
            (given.in_pad, "--in-pad: left out; the halo is computed from the network"),
            (given.loader_workers is not None, "--loader-workers: left out; measured at the start"),
            (given.detect_anomaly, "--detect-anomaly: left out; non_finite names sample and layer"),
            (given.dist_backend, "--dist-backend: left out; it follows from the device"),
        ):
            if flag:
                self.notes.append(text)
        if given.div_shuffle_dist is not None and not given.div_data:
            self.refused.append("--div-shuffle-dist: has no effect without --div-data")
        if not given.adv_model:
            self.refused += [
                f"{option}: has no effect without --adv-model; leave it out"
                for option in adversarial_given(given)
            ]
        elif not given.instance_noise and "--instance-noise-batches" in adversarial_given(given):
            self.refused.append("--instance-noise-batches: has no effect without --instance-noise")
        for flag, text in (
            (
                given.train_style_pattern or given.val_style_pattern,
                "--train-style-pattern, --val-style-pattern: each style is an npy file; write "
                "a table and name it as data.styles, with generator.kind styled",
            ),
            (
                given.criterion in OWN_CRITERIA,
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
