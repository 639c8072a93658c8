"""Principal components of volumes against a decomposition of all mirror images in float64."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from hpctrain.errors import DataError
from hpctrain.models.components import Components, principal_components

SIZE = (4, 6, 8)


def volumes(count: int = 300) -> torch.Tensor:
    """Twelve patterns, each with another variance, and little noise, around a slope."""
    own = torch.Generator().manual_seed(0)
    weights = torch.randn(count, 12, generator=own) * torch.linspace(1, 2, 12)
    patterns = torch.randn(12, math.prod(SIZE), generator=own)
    noise = 0.1 * torch.randn(count, *SIZE, generator=own)
    return (weights @ patterns).view(count, *SIZE) + noise + torch.linspace(0, 3, SIZE[-1])


def decomposed(x: torch.Tensor, mirrored: tuple[int, ...], count: int) -> Components:
    choices = (s for n in range(len(mirrored) + 1) for s in itertools.combinations(mirrored, n))
    images = torch.cat([x.double().flip(axes) if axes else x.double() for axes in choices])
    center = images.mean(0)
    rows = (images - center).flatten(1)
    values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    values, vectors = values.flip(0), vectors.flip(1)
    own = vectors[:, :count].T.reshape(count, *SIZE), values[:count]
    return Components(center, *own, float(values[count:].mean()))


@pytest.mark.parametrize("mirrored", [(), (3,), (2, 3), (1, 2, 3)])
def test_components__are_those_of_all_mirror_images(mirrored: tuple[int, ...]) -> None:
    x, count = volumes(), 12
    expected, found = decomposed(x, mirrored, count), principal_components(x, count, mirrored)
    torch.testing.assert_close(found.center.double(), expected.center, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.variances.double(), expected.variances, atol=0, rtol=1e-4)
    assert found.rest == pytest.approx(expected.rest, rel=1e-4)
    own, other = found.vectors.flatten(1).double(), expected.vectors.flatten(1)
    torch.testing.assert_close(own @ own.T, torch.eye(count).double(), atol=1e-5, rtol=0)
    assert float((own @ other.T).square().sum()) == pytest.approx(count, rel=1e-4)


def test_components__may_all_be_of_one_kind() -> None:
    """Even along all axes; more of them than a fair share."""
    x = volumes()
    for axis in (1, 2, 3):
        x = x + x.flip(axis)
    count = 20
    expected = decomposed(x, (), count)
    found = principal_components(x, count, (1, 2, 3))
    torch.testing.assert_close(found.variances.double(), expected.variances, atol=0, rtol=1e-4)
    torch.testing.assert_close(found.vectors, found.vectors.flip(3), atol=1e-6, rtol=0)


def test_components__are_the_same_each_time() -> None:
    first, second = (principal_components(volumes(), 12, (3,)) for _ in range(2))
    assert torch.equal(first.vectors, second.vectors)


def test_components__of_too_few_volumes_are_refused() -> None:
    assert len(principal_components(volumes(3), 12, (2, 3)).variances) == 12
    with pytest.raises(DataError, match=r"found 3 windows, which have 3 directions.*is 4"):
        principal_components(volumes(3), 4)
