"""The options of map2map's `m2m.py train`, of its main and its wgan branch, and how they read."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import Any, NoReturn

from hpctrain.errors import ConfigError

WHERE = "m2m.py"


class _Parser(argparse.ArgumentParser):
    """Raises instead of leaving the program; knows options by their whole names only."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{WHERE}: {message}")


def parse_command(command: str) -> argparse.Namespace:
    """Read a command line.

    Args:
        command: `m2m.py train ...`, perhaps behind srun or python, with continued lines.

    Raises:
        ConfigError: it is no such command line, or has an option that map2map does not have.
    """
    try:
        words = shlex.split(command.replace("\\\n", " "), comments=True)
    except ValueError as e:
        raise ConfigError(f"{WHERE}: the command line cannot be read: {e}") from e
    start = next((i for i, word in enumerate(words) if word.endswith("m2m.py")), None)
    if start is None:
        raise ConfigError(
            f"{WHERE}: found no m2m.py in the command line; allowed: 'm2m.py train --...', quoted"
        )
    mode = words[start + 1] if start + 1 < len(words) else ""
    if mode != "train":
        raise ConfigError(f"{WHERE}: found mode {mode!r}; only train has an equivalent job file")
    return _parser().parse_args(words[start + 2 :])


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _names(text: str) -> list[str]:
    return text.split(",")


def _mapping(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(text)
    return found


_OPTIONS: dict[str, dict[str, Any]] = {
    "--train-in-patterns": {"type": _names, "required": True},
    "--train-tgt-patterns": {"type": _names, "required": True},
    "--val-in-patterns": {"type": _names},
    "--val-tgt-patterns": {"type": _names},
    "--train-style-pattern": {},
    "--val-style-pattern": {},
    "--in-norms": {"type": _names},
    "--tgt-norms": {"type": _names},
    "--crop": {"type": _numbers},
    "--crop-start": {"type": _numbers},
    "--crop-stop": {"type": _numbers},
    "--crop-step": {"type": _numbers},
    "--tgt-pad": {"type": _numbers},
    "--scale-factor": {"type": int, "default": 1},
    "--augment": {"action": "store_true"},
    "--aug-shift": {"type": _numbers},
    "--aug-add": {"type": float},
    "--aug-mul": {"type": float},
    "--model": {"required": True},
    "--criterion": {"default": "MSELoss"},
    "--load-state": {},
    "--load-state-non-strict": {"action": "store_true"},
    "--loader-workers": {"type": int},
    "--callback-at": {},
    "--misc-kwargs": {"type": _mapping, "default": {}},
    "--adv-model": {},
    "--adv-model-spectral-norm": {"action": "store_true"},
    "--adv-criterion": {"default": "BCEWithLogitsLoss"},
    "--adv-r1-reg-interval": {"type": int},
    "--adv-wgan-gp-interval": {"type": int},
    "--cgan": {"action": "store_true"},
    "--adv-start": {"type": int, "default": 0},
    "--adv-iter-ratio": {"type": int, "default": 1},
    "--adv-label-smoothing": {"type": float, "default": 1.0},
    "--instance-noise": {"type": float, "default": 0.0},
    "--instance-noise-batches": {"type": float, "default": 1e4},
    "--optimizer": {"default": "Adam"},
    "--lr": {"type": float, "required": True},
    "--optimizer-args": {"type": _mapping, "default": {}},
    "--adv-lr": {"type": float},
    "--adv-optimizer-args": {"type": _mapping},
    "--reduce-lr-on-plateau": {"action": "store_true"},
    "--scheduler-args": {"type": _mapping, "default": {}},
    "--init-weight-std": {"type": float},
    "--epochs": {"type": int, "default": 128},
    "--seed": {"type": int, "default": 42},
    "--div-data": {"action": "store_true"},
    "--div-shuffle-dist": {"type": float},
    "--dist-backend": {"choices": ["gloo", "nccl"]},
    "--log-interval": {"type": int, "default": 100},
    "--detect-anomaly": {"action": "store_true"},
}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=WHERE, add_help=False, allow_abbrev=True)
    for name, how in _OPTIONS.items():
        parser.add_argument(name, **how)
    parser.add_argument("--in-pad", "--pad", type=_numbers)
    parser.add_argument("--batch-size", "--batches", type=int, required=True)
    return parser
