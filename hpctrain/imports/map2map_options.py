"""The options of map2map's `m2m.py train`, of its main and its wgan branch, and how they read."""

from __future__ import annotations

import argparse
import json
import shlex
import unicodedata
from contextlib import suppress
from typing import Any, NoReturn

from hpctrain.errors import ConfigError

WHERE = "m2m.py"
_CONTROL = ("Cc", "Cs", "Zl", "Zp")
"""Kinds of characters that are no text of one line."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of leaving the program; takes shortened names, as map2map's own does."""

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
    _refuse_control_characters(command, words)
    return _parser().parse_args(words[start + 2 :])


def adversarial_given(given: argparse.Namespace) -> list[str]:
    """Options of the adversarial phase, but the critic itself, that say other than by default."""
    return [
        name
        for name, how in _OPTIONS.items()
        if name.startswith(("--adv-", "--cgan", "--instance-noise"))
        and name != "--adv-model"
        and (value := getattr(given, name[2:].replace("-", "_"))) != how.get("default")
        and value is not False
    ]


def _refuse_control_characters(command: str, words: list[str]) -> None:
    """They could begin a line of their own in the job file, which tells of the options."""
    for text in (command.translate(dict.fromkeys(map(ord, "\n\r\t"), " ")), *words):
        if any(unicodedata.category(char) in _CONTROL for char in text):
            raise ConfigError(f"{WHERE}: {text!r} has a control character; take it out")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as e:
        allowed = "whole numbers with commas between, such as 16 or 16,16,32"
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: {allowed}") from e


def _names(text: str) -> list[str]:
    return text.split(",")


def _mapping(text: str) -> dict[str, Any]:
    with suppress(ValueError):
        if isinstance(found := json.loads(text), dict):
            return found
    raise argparse.ArgumentTypeError(f'found {text!r}; allowed: a JSON object, such as {{"z": 2}}')


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
