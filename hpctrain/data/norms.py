"""Normalisations as pairs of a function and its inverse, for numpy arrays and torch tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from hpctrain.config.norms import OPTIONS
from hpctrain.config.user_code import find_class, make
from hpctrain.data.cosmology import growth_factor, growth_rate, hubble
from hpctrain.errors import ConfigError

Values = TypeVar("Values", NDArray[Any], torch.Tensor)


class Norm(Protocol):
    """A function of one field's values and its inverse; both give new values."""

    def normalize(self, x: Values) -> Values:
        """Physical to normalised values."""

    def denormalize(self, y: Values) -> Values:
        """Normalised to physical values."""


class Function:
    """A function that numpy and torch have under the same name, with that of its inverse."""

    def __init__(self, name: str, inverse: str) -> None:
        self._name, self._inverse = name, inverse

    def normalize(self, x: Values) -> Values:
        """The function."""
        return _call(self._name, x)

    def denormalize(self, y: Values) -> Values:
        """Its inverse."""
        return _call(self._inverse, y)


class Ratio:
    """s(x) = 2 x / (x + a) - 1 for x >= 0, into [-1, 1); CosmoGAN has a = 4 (Mustafa et al. 2019).

    The inverse is a (1 + s) / (1 - s), infinite at s = 1, which no finite x reaches.
    """

    def __init__(self, a: float) -> None:
        if not a > 0:
            raise ConfigError(f"ratio: a is {a}; allowed: more than 0")
        self._a = a

    def normalize(self, x: Values) -> Values:
        """Into [-1, 1)."""
        y: Values = 2 * x / (x + self._a) - 1
        return y

    def denormalize(self, y: Values) -> Values:
        """Back, from less than 1."""
        x: Values = self._a * (1 + y) / (1 - y)
        return x


class Affine:
    """(x - shift) / scale."""

    def __init__(self, shift: float, scale: float) -> None:
        if scale == 0 or not np.isfinite((shift, scale)).all():
            raise ConfigError(f"norm: shift {shift} and scale {scale} have no inverse")
        self._shift, self._scale = shift, scale

    def normalize(self, x: Values) -> Values:
        """Shift and scale."""
        return (x - self._shift) / self._scale

    def denormalize(self, y: Values) -> Values:
        """Scale and shift back."""
        return y * self._scale + self._shift


class Own:
    """The user's class, whose `normalize` and `denormalize` see numpy arrays alone."""

    def __init__(self, made: Any, name: str) -> None:
        for method in ("normalize", "denormalize"):
            if not callable(getattr(made, method, None)):
                raise ConfigError(f"norm {name!r}: has no method {method}(values); add it")
        self._made = made

    def normalize(self, x: Values) -> Values:
        """By the user's class."""
        return _through_numpy(self._made.normalize, x)

    def denormalize(self, y: Values) -> Values:
        """By the user's class."""
        return _through_numpy(self._made.denormalize, y)


def make_norm(kind: str, options: Mapping[str, Any]) -> Norm | None:
    """A normalisation by its name in the job file; None for `none`.

    Raises:
        ConfigError: options without a sense, or a class of the user's that cannot be made.
    """
    if kind not in OPTIONS:
        return Own(make(find_class(kind, "data: norm"), "data: norm", options=options), kind)
    given = {name: float(options.get(name, default)) for name, default in OPTIONS[kind].items()}
    return _MAKERS[kind](**given)


def _call(name: str, x: Values) -> Values:
    module: Any = torch if isinstance(x, torch.Tensor) else np
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # checked where it is read
        found: Values = getattr(module, name)(x)
    return found


def _through_numpy(function: Callable[[Any], Any], x: Values) -> Values:
    if isinstance(x, torch.Tensor):
        found = np.asarray(function(x.detach().cpu().numpy()))
        return torch.from_numpy(found).to(device=x.device, dtype=x.dtype)
    return np.asarray(function(x)).astype(x.dtype, copy=False)


def _displacement(redshift: float, omega_m: float, deviation: float) -> Norm:
    """Displacements in Mpc/h, whose deviation today is `deviation` and grows with D."""
    return Affine(0.0, deviation * growth_factor(redshift, omega_m))


def _velocity(redshift: float, omega_m: float, deviation: float) -> Norm:
    """Peculiar velocities in km/s: displacement times a H f in linear theory."""
    growth = growth_factor(redshift, omega_m) * growth_rate(redshift, omega_m)
    return Affine(0.0, deviation * growth * hubble(redshift, omega_m) / (1 + redshift))


_MAKERS: dict[str, Callable[..., Norm | None]] = {
    "none": lambda: None,
    "exp": lambda: Function("exp", "log"),
    "log": lambda: Function("log", "exp"),
    "log1p": lambda: Function("log1p", "expm1"),
    "expm1": lambda: Function("expm1", "log1p"),
    "ratio": Ratio,
    "standard": lambda mean, deviation: Affine(mean, deviation),
    "minmax": lambda low, high: Affine(0.5 * (high + low), 0.5 * (high - low)),
    "cosmology.dis": _displacement,
    "cosmology.vel": _velocity,
}
