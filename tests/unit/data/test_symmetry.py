"""The octahedral group on arrays, against signed permutation matrices."""

import itertools

import numpy as np
import pytest

from hpctrain.data.symmetry import Symmetry, symmetries

ALL = symmetries((1, 1, 1), is_planar=False)
SQUARE = symmetries((0, 1, 1), is_planar=True)
VECTOR = [[1, 2, 3]]


def matrix(g):
    """Signed permutation of the axes: what g does to a vector."""
    m = np.zeros((3, 3), int)
    for i, (axis, flip) in enumerate(zip(g.axes, g.flips, strict=True)):
        m[i, axis] = -1 if flip else 1
    return m


def field(size=4, seed=0):
    """A scalar and a vector, (4, n, n, n)."""
    return np.random.default_rng(seed).standard_normal((4, *[size] * 3)).astype(np.float32)


def test_group__has_48_elements_in_3d_and_8_in_2d_all_different():
    for group, count in ((ALL, 48), (SQUARE, 8)):
        assert len(group) == count
        assert len({matrix(g).tobytes() for g in group}) == count
    assert all(g.axes[0] == 0 and not g.flips[0] for g in SQUARE)


def test_group__composition_is_that_of_the_matrices():
    known = {matrix(g).tobytes(): g for g in ALL}
    for g, h in itertools.product(ALL, ALL):
        assert known[(matrix(g) @ matrix(h)).tobytes()] == g.after(h)


@pytest.mark.parametrize("group", [ALL, SQUARE], ids=["cube", "square"])
def test_group__acts_exactly(group):
    """Applying h and then g is applying their product, to the last bit, scalars and vectors."""
    x = field()
    turned = {g: g.apply(x, VECTOR) for g in group}
    for h in group:
        for g in group[:: 1 if len(group) == 8 else 5]:
            assert np.array_equal(g.apply(turned[h], VECTOR), turned[g.after(h)])


def test_group__inverse_undoes_and_its_own_inverse_is_the_element():
    x = field()
    for g in ALL:
        assert g.inverse().inverse() == g
        assert g.after(g.inverse()) == Symmetry() == g.inverse().after(g)
        assert np.array_equal(g.inverse().apply(g.apply(x, VECTOR), VECTOR), x)


def test_apply__moves_cells_as_their_positions_turn():
    """f'(g x) = g f(x), for cells counted from the cube's centre."""
    size = 5
    x = field(size)
    for g in ALL:
        y, m = g.apply(x, VECTOR), matrix(g)
        for cell in ((0, 1, 2), (4, 0, 3), (2, 2, 2), (1, 4, 4)):
            there = m @ (np.array(cell) - 2) + 2
            assert y[(0, *there)] == x[(0, *cell)]
            np.testing.assert_array_equal(y[(slice(1, 4), *there)], m @ x[(slice(1, 4), *cell)])


def test_apply__a_gradient_stays_the_gradient():
    """Vector components turn with the axes: grad of the turned field is the turned grad."""
    smooth = np.sin(np.arange(6) * 0.7)
    scalar = smooth[:, None, None] + 2 * smooth[:, None] * smooth[::-1] + 3 * smooth
    x = np.stack([scalar, *np.gradient(scalar)]).astype(np.float32)
    for g in ALL:
        y = g.apply(x, VECTOR)
        np.testing.assert_allclose(np.stack(np.gradient(y[0])), y[1:], atol=1e-5)


def test_apply__planar_vectors_of_two_components():
    x = np.random.default_rng(1).standard_normal((2, 1, 4, 4)).astype(np.float32)
    quarter = Symmetry((0, 2, 1), (False, True, False))
    y = quarter.apply(x, [[0, 1]])
    plain = np.rot90(x, 1, (2, 3))
    np.testing.assert_array_equal(y[0], -plain[1])
    np.testing.assert_array_equal(y[1], plain[0])


def test_symmetries__of_unequal_axes_only_exchange_the_equal_ones():
    found = symmetries(((8, 2), (8, 2), (4, 2)), is_planar=False)
    assert len(found) == 16
    assert {g.axes for g in found} == {(0, 1, 2), (1, 0, 2)}
    assert len(symmetries((1, 2, 3), is_planar=False)) == 8
