"""Pairs of functions: the forward formula, and an inverse that gives back what went in."""

import sys

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from hpctrain.config.norms import OPTIONS, Normalization
from hpctrain.data import FieldDataset, Scales
from hpctrain.data.cosmology import growth_factor, growth_rate, hubble
from hpctrain.data.norms import make_norm
from hpctrain.data.scales import FieldNorm
from hpctrain.errors import ConfigError, DataError
from hpctrain.index import build_fields_index
from tests.unit.data.builders import box, dataset, read

X = np.linspace(0.01, 5.0, 60).reshape(3, 4, 5, 1)
DIS = 6.0 * growth_factor(1.0, 0.3)
VEL = DIS * growth_rate(1.0, 0.3) * hubble(1.0, 0.3) / 2
Z1 = {"redshift": 1.0, "omega_m": 0.3}
CASES = {
    "exp": ({}, np.exp),
    "log": ({}, np.log),
    "log1p": ({}, np.log1p),
    "expm1": ({}, np.expm1),
    "ratio": ({"a": 2.5}, lambda x: 2 * x / (x + 2.5) - 1),
    "standard": ({"mean": 2.0, "deviation": 0.5}, lambda x: (x - 2) / 0.5),
    "minmax": ({"low": -1.0, "high": 7.0}, lambda x: (x - 3) / 4),
    "cosmology.dis": (Z1, lambda x: x / DIS),
    "cosmology.vel": (Z1, lambda x: x / VEL),
}


def test_norms__all_are_tested_here():
    assert set(CASES) | {"none"} == set(OPTIONS)
    assert make_norm("none", {}) is None


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy])
def test_norm__formula_and_exact_inverse_in_float64(kind, library):
    options, formula = CASES[kind]
    norm, x = make_norm(kind, options), library(X)
    y = norm.normalize(x)
    np.testing.assert_allclose(np.asarray(y), formula(X), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(norm.denormalize(y)), X, rtol=1e-10)
    assert type(y) is type(x)
    np.testing.assert_array_equal(np.asarray(x), X)  # nothing is changed in place


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "log2p"}, "unknown 'log2p'; choose from none, exp"),
        ({"kind": "log", "options": {"a": 1.0}}, "log takes no 'a'; it takes none"),
        ({"kind": "cosmology.dis", "options": {"z": 1.0}}, "takes no 'z'; it takes redshift"),
        ({"kind": "cosmology.acc"}, "unknown 'cosmology.acc'"),
        ({"kind": "standard", "options": {"mean": 0.0}}, "standard needs deviation"),
        ({"kind": "ratio", "options": {"a": "4"}}, "found '4'; allowed: a number"),
    ],
)
def test_normalization__refuses_what_would_have_no_effect(given, message):
    with pytest.raises(ValidationError, match=message):
        Normalization(**given)


def test_norm__without_an_inverse_is_refused():
    with pytest.raises(ConfigError, match="have no inverse"):
        make_norm("minmax", {"low": 2.0, "high": 2.0})
    with pytest.raises(ConfigError, match="a is -4"):
        make_norm("ratio", {"a": -4.0})


OWN = """
import numpy as np


class Root:
    def __init__(self, power=2.0):
        self.power = power

    def normalize(self, values):
        return np.asarray(values) ** (1 / self.power)

    def denormalize(self, values):
        return np.asarray(values) ** self.power


class OneWay:
    def normalize(self, values):
        return values
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_norms_of_test.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_norms_of_test"
    sys.modules.pop("own_norms_of_test", None)


def test_norm__of_the_users_code(own):
    norm = make_norm(f"{own}.Root", {"power": 3.0})
    np.testing.assert_allclose(norm.normalize(X), np.cbrt(X))
    y = norm.normalize(torch.from_numpy(X))
    assert isinstance(y, torch.Tensor)
    np.testing.assert_allclose(norm.denormalize(y).numpy(), X)
    with pytest.raises(ConfigError, match=r"Root takes no 'pover'; it takes power; did you mean"):
        make_norm(f"{own}.Root", {"pover": 3.0})
    with pytest.raises(ConfigError, match=r"has no method denormalize\(values\)"):
        make_norm(f"{own}.OneWay", {})


def test_scales__norms_come_before_shift_and_scale_and_survive_a_checkpoint():
    norm = FieldNorm(1, 3, "log1p", {})
    scales = Scales(("a", "b", "c"), (1.0, 0.5, 0.0), (2.0, 1.0, 4.0), norms=(norm,))
    x = np.random.default_rng(0).uniform(0, 9, (3, 2, 3, 4))
    expected = np.stack([(x[0] - 1) / 2, np.log1p(x[1]) - 0.5, np.log1p(x[2]) / 4])
    again = Scales.from_dict(scales.to_dict())
    assert again == scales
    np.testing.assert_allclose(again.normalize(x), expected, rtol=1e-12)
    np.testing.assert_allclose(again.denormalize(again.normalize(x)), x, rtol=1e-10)
    batch = torch.from_numpy(x)[None].float()
    np.testing.assert_allclose(again.normalize(batch)[0].numpy(), expected, rtol=1e-5, atol=1e-6)
    sample = x.astype(np.float32)
    again.normalize_(sample)
    np.testing.assert_allclose(sample, expected, rtol=1e-5, atol=1e-6)


def write(folder, count=3, size=8, seed=0):
    rng = np.random.default_rng(seed)
    for name, channels in (("den", 1), ("dis", 3)):
        for i in range(count):
            x = rng.uniform(0.0, 50.0, (channels, size, size, size)).astype(np.float32)
            np.save(folder / f"{name}{i}.npy", x)


def test_dataset__each_field_has_its_own_norm_and_the_scale_behind_it(tmp_path):
    write(tmp_path)
    norms = [
        Normalization(kind="log1p", then="standard"),
        Normalization(kind="cosmology.dis", options={"redshift": 2.0}),
    ]
    fields = box(
        tmp_path,
        targets=["den*.npy", "dis*.npy"],
        inputs=["dis*.npy"],
        target_norms=norms,
        input_norms=norms[1:],
        crop=(4, 4, 4),
        stride=(8, 8, 8),
    )
    data = dataset(fields, factor=1, halo=0)
    data.scales = data.measure_scales()
    den = [np.log1p(np.load(tmp_path / f"den{i}.npy")) for i in range(2)]
    assert data.scales.shift[0] == pytest.approx(np.mean(den), rel=1e-5)
    assert data.scales.scale[0] == pytest.approx(np.std(den), rel=1e-5)
    assert data.scales.shift[1:] == (0, 0, 0)
    assert data.scales.scale[1:] == (1, 1, 1)
    x, y = read(data, 0)
    dis = np.load(tmp_path / "dis0.npy")[:, :4, :4, :4] / (6 * growth_factor(2.0, 0.31))
    np.testing.assert_allclose(x, dis, rtol=1e-5)
    np.testing.assert_allclose(y[1:], dis, rtol=1e-5)
    np.testing.assert_allclose(y[0], (den[0][0, :4, :4, :4] - np.mean(den)) / np.std(den), rtol=1e-4, atol=1e-5)  # fmt: skip  # noqa: E501


def test_dataset__a_value_without_a_number_is_named(tmp_path):
    write(tmp_path)
    values = np.load(tmp_path / "den1.npy")
    values[0, 5, 5, 5] = 0.0
    np.save(tmp_path / "den1.npy", values)
    fields = box(tmp_path, targets=["den*.npy"], target_norms=[Normalization(kind="log")])
    data = dataset(fields, factor=1, halo=0)
    data.scales = data.measure_scales()
    last = next(i for i in range(len(data)) if data.sample_name(i) == "den1.npy [x 4, y 4, z 4]")
    with pytest.raises(DataError, match=r"den1.npy \[x 4, y 4, z 4\]: log of 'den' is no number"):
        read(data, last)


def test_dataset__norms_are_as_many_as_the_files_of_a_sample(tmp_path):
    write(tmp_path)
    fields = box(tmp_path, targets=["den*.npy", "dis*.npy"])
    index = build_fields_index(fields, 1, tmp_path)
    # an index says how many files a sample has, so that the job file alone cannot tell
    one = fields.model_copy(update={"target_norms": [Normalization(kind="log1p")]})
    data = FieldDataset(one, index, "train", 1, 0, 0)
    with pytest.raises(DataError, match=r"1 normalisations for 2 files a sample, such as den0.npy"):
        data.measure_scales()
