"""Tiles: every cell covered, weights that sum to 1 exactly, whatever the sizes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from hpctrain.predict.tiles import AxisTiles, Block, Plan, add_tile

CASES = [
    (size, stride, overlap, factor, is_periodic)
    for size, stride, overlap, factor, is_periodic in itertools.product(
        (1, 2, 3, 7, 8, 13, 16, 31), (1, 2, 4, 5, 8, 40), (0, 1, 3, 8), (1, 4), (False, True)
    )
    if overlap <= stride
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_axis__weights_sum_to_one_in_every_cell(case: tuple[int, int, int, int, bool]) -> None:
    axis = AxisTiles(*case)
    sums = np.zeros(axis.size * axis.factor, np.float32)
    for i in range(axis.count):
        for piece in axis.pieces(i):
            assert 0 <= piece.start < piece.stop <= len(sums)
            assert 0 <= piece.tile.start < piece.tile.stop <= axis.tile * axis.factor
            local = piece.tile.start + i * axis.stride * axis.factor
            assert (local - piece.start) % len(sums) == 0
            assert is_whole_part(piece.weights)
            sums[piece.start : piece.stop] += piece.weights
    assert (sums == 1).all()
    if not axis.overlap:
        assert all((p.weights == 1).all() for i in range(axis.count) for p in axis.pieces(i))


def is_whole_part(weights: np.ndarray) -> bool:
    scaled = 256 * weights
    return bool(((scaled == np.round(scaled)) & (scaled >= 0) & (scaled <= 256)).all())


def test_axis__neighbours_hand_over_gradually() -> None:
    axis = AxisTiles(64, 16, 8, 1, is_periodic=True)
    weights = axis.pieces(1)[0].weights
    assert weights[0] < 0.1
    assert weights[-1] < 0.1
    assert np.abs(np.diff(weights)).max() < 0.2
    assert (np.diff(weights)[:8] >= 0).all()


@pytest.mark.parametrize("at_least", [1, 2, 7])
@pytest.mark.parametrize("overlap", [0, 2])
@pytest.mark.parametrize("largest", [1, 300, 10**6])
def test_plan__blocks_are_the_whole_and_a_linear_field_comes_back(
    overlap: int, largest: int, at_least: int
) -> None:
    plan = Plan(
        (
            AxisTiles(5, 2, overlap, 2, False),
            AxisTiles(9, 4, overlap, 2, False),
            AxisTiles(12, 4, overlap, 2, True),
        )
    )
    rng = np.random.default_rng(0)
    field = rng.integers(-1000, 1000, (2, *plan.shape)).astype(np.float32)
    whole = np.full_like(field, np.nan)
    blocks = plan.blocks(largest, at_least)
    assert len(blocks) >= min(at_least, math.prod(axis.count for axis in plan.axes))
    for block in blocks:
        part = np.zeros((2, *block.shape), np.float32)
        for number, places in plan.tiles_of(block):
            add_tile(part, block, cut(field, plan, number), places)
        box = tuple(slice(*span) for span in block.spans)
        assert np.isnan(whole[(slice(None), *box)]).all(), "blocks overlap"
        whole[(slice(None), *box)] = part
    # sums of 1 in exact arithmetic: not one bit is lost
    assert np.array_equal(whole, field)


def cut(field: np.ndarray, plan: Plan, number: tuple[int, int, int]) -> np.ndarray:
    """A tile of a field; cells over the end are wrapped, or wrong where nothing is there."""
    grids = []
    tile = field
    for axis, (first, tiles) in enumerate(zip(plan.start(number), plan.axes, strict=True), start=1):
        cells = first * tiles.factor + np.arange(tiles.tile * tiles.factor)
        total = tiles.size * tiles.factor
        tile = np.take(tile, cells % total, axis)
        if not tiles.is_periodic:
            outside = [slice(None)] * 4
            outside[axis] = slice(max(0, total - int(cells[0])), None)
            tile[tuple(outside)] = 1e9
        grids.append(cells)
    return tile


def test_plan__numbers_do_not_depend_on_the_blocks() -> None:
    plan = Plan((AxisTiles(8, 4, 2), AxisTiles(8, 4, 2), AxisTiles(8, 4, 2, 1, True)))
    rng = np.random.default_rng(1)
    tiles = {
        number: rng.standard_normal((1, *plan.tile)).astype(np.float32)
        for number in itertools.product(range(2), repeat=3)
    }

    def put_together(blocks: list[Block]) -> np.ndarray:
        whole = np.zeros((1, *plan.shape), np.float32)
        for block in blocks:
            box = tuple(slice(*span) for span in block.spans)
            part = np.zeros((1, *block.shape), np.float32)
            for number, places in plan.tiles_of(block):
                add_tile(part, block, tiles[number], places)
            whole[(slice(None), *box)] = part
        return whole

    one, many = plan.blocks(10**6), plan.blocks(10**6, 8)
    assert (len(one), len(many)) == (1, 8)
    assert put_together(one).tobytes() == put_together(many).tobytes()
