"""Figures of ink and of volumes: what frames, outlines and scales are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from hpctrain.analysis import ink_figures, volume_figures


def test_region__frames_what_was_held_out() -> None:
    panels = {name: np.zeros((6, 20)) for name in ("infrared", "ink")}
    figure = ink_figures.region(panels, "7", [((0, 6), (15, 20))])
    for axes in figure.axes:
        (frame,) = axes.patches
        assert frame.get_bbox().extents == pytest.approx([14.5, -0.5, 19.5, 5.5])


def test_windows__outline_labels_that_end_within() -> None:
    half = np.zeros((8, 8))
    half[:, 4:] = 1
    label = np.stack([half, np.zeros((8, 8)), np.ones((8, 8))])
    one = np.ones_like(label)
    found = ink_figures.windows(one, label, one, one / 2)
    outlines = [len(axes.collections) for axes in found.axes]
    assert outlines == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]


def test_traversals__show_the_change_on_one_scale() -> None:
    cubes = np.zeros((2, 3, 4, 5, 5))
    cubes[0, -1], cubes[1, -1] = 2.0, -1.0
    figure = volume_figures.traversals(cubes, ["a", "b"], [-1, 0, 1], scale=(-3.0, 3.0))
    assert len(figure.axes) == 2 * (3 + 1)
    first, last = figure.axes[0].images[0], figure.axes[7].images[0]
    assert (first.get_clim(), last.get_clim()) == ((-3.0, 3.0), (-2.0, 2.0))
    assert (last.get_array() == -1.0).all()


def test_by_distance__names_the_yardsticks() -> None:
    curve = {"distance": [0.1, 0.9], "mse": [1.0, 2.0], "block means": [2.0, 2.0]}
    (axes,) = volume_figures.by_distance(curve).axes
    assert [line.get_label() for line in axes.lines] == ["network", "block means"]
    del curve["block means"]
    assert volume_figures.by_distance(curve).axes[0].get_legend() is None
