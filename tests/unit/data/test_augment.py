"""Samples of a box: turned, shifted, padded, cut where the job file says."""

import numpy as np
import pytest
from pydantic import ValidationError

from hpctrain.config.data import Augment
from hpctrain.data.symmetry import Symmetry
from hpctrain.errors import DataError
from tests.unit.data.builders import box, dataset, read, sphere, write_boxes, write_spheres

ALONE = {"crop": (4, 4, 4), "stride": (4, 4, 4)}


def vector_box(folder, **options):
    """Files of one vector field each, at one resolution, 8 cells a side."""
    values = write_boxes(folder, channels=3)
    given = {**ALONE, "inputs": ["f*.npy"]} | options
    return values, box(folder, **given)


def test_octahedral__sample_is_a_turned_one_and_input_turns_with_the_target(tmp_path):
    values, fields = vector_box(tmp_path, augment=Augment(octahedral=True))
    data, plain = dataset(fields, factor=1, halo=2), dataset(fields, "validation", 1, 2)
    plain.split, plain._target, plain._input = "validation", data._target, data._input
    seen = set()
    for i in range(len(data)):
        for epoch in range(8):
            g = data._augment.symmetry(i, epoch)
            seen.add(g)
            x, y = read(data, i, epoch)
            straight = read(plain, i)
            assert np.array_equal(x, g.apply(straight[0], [[0, 1, 2]]))
            assert np.array_equal(y, g.apply(straight[1], [[0, 1, 2]]))
            assert np.array_equal(x[:, 2:-2, 2:-2, 2:-2], y)
    assert len(seen) > 40
    assert set(seen) <= set(data._augment.symmetries)


def test_octahedral__validation_stands_as_it_is_and_draws_belong_to_the_epoch(tmp_path):
    values, fields = vector_box(tmp_path, augment=Augment(octahedral=True))
    held = dataset(fields, "validation", 1, 0)
    assert np.array_equal(read(held, 0, 3)[1], values[2][:, :4, :4, :4])
    data, again = dataset(fields, factor=1, halo=0), dataset(fields, factor=1, halo=0)
    first = [data._augment.symmetry(i, 0) for i in range(16)]
    assert first == [again._augment.symmetry(i, 0) for i in range(16)]
    assert first != [data._augment.symmetry(i, 1) for i in range(16)]
    assert first != [dataset(fields, factor=1, halo=0, seed=1)._augment.symmetry(i, 0) for i in range(16)]  # fmt: skip  # noqa: E501


def test_octahedral__unequal_crops_are_only_mirrored_along_the_odd_axis(tmp_path):
    _, fields = vector_box(tmp_path, crop=(2, 4, 4), augment=Augment(octahedral=True))
    assert {g.axes for g in dataset(fields, factor=1, halo=0)._augment.symmetries} == {
        (0, 1, 2),
        (0, 2, 1),
    }


def test_octahedral__planes_have_eight(tmp_path):
    _, fields = vector_box(tmp_path, crop=(1, 4, 4), augment=Augment(octahedral=True))
    data = dataset(fields, factor=1, halo=(0, 2, 2))
    assert data.input_shape == (3, 1, 8, 8)
    assert len(data._augment.symmetries) == 8
    assert all(g.axes[0] == 0 and not g.flips[0] for g in data._augment.symmetries)


def test_octahedral__half_a_vector_is_refused(tmp_path):
    write_boxes(tmp_path, channels=2)
    fields = box(tmp_path, variables=["vx", "vy"], augment=Augment(octahedral=True))
    with pytest.raises(DataError, match="turns all three components of a vector, but only vx, vy"):
        dataset(fields)


def test_augment__of_a_box_is_refused_on_a_sphere(tmp_path):
    write_spheres(tmp_path)
    with pytest.raises(DataError, match="are for a box"):
        dataset(sphere(tmp_path, augment=Augment(octahedral=True)))


def test_noise__is_one_number_a_channel_alike_in_input_and_target(tmp_path):
    augment = Augment(additive_std=0.5, multiplicative_std=0.25)
    values, fields = vector_box(tmp_path, augment=augment)
    data, plain = dataset(fields, factor=1, halo=0), dataset(fields, "validation", 1, 0)
    plain._target, plain._input = data._target, data._input
    added, factors = [], []
    for i in range(len(data)):
        for epoch in range(20):
            x, y = read(data, i, epoch)
            assert np.array_equal(x, y)
            for channel, straight in zip(y, read(plain, i)[1], strict=True):
                slope, offset = np.polyfit(straight.ravel(), channel.ravel(), 1)
                np.testing.assert_allclose(channel, slope * straight + offset, atol=1e-4)
                factors.append(slope)
                added.append(offset / slope)
    assert np.std(added) == pytest.approx(0.5, rel=0.1)
    assert np.std(np.log(factors)) == pytest.approx(0.25, rel=0.1)
    assert abs(np.mean(added)) < 0.07
    assert min(factors) > 0


def test_noise__needs_equal_channels(tmp_path):
    write_boxes(tmp_path / "a", channels=1)
    write_boxes(tmp_path / "b", channels=2)
    options = {"targets": ["a/f*.npy"], "inputs": ["b/f*.npy"], **ALONE}
    with pytest.raises(DataError, match="input has 2 channels and the target 1"):
        dataset(box(tmp_path, **options, augment=Augment(additive_std=1.0)), factor=1, halo=0)


def test_shift__max_shift_bounds_it(tmp_path):
    _, fields = vector_box(tmp_path, augment=Augment(random_shift=True, max_shift=(3, 1, 2)))
    data = dataset(fields, factor=1, halo=0)
    found = {data._augment.start(i, e, (4, 4, 4)) for i in range(16) for e in range(9)}
    assert found == {(4 + a, 4, 4 + c) for a in range(3) for c in range(2)}
    with pytest.raises(ValidationError, match="max_shift has no effect without random_shift"):
        Augment(max_shift=(1, 1, 1))


PADS = {"periodic": "wrap", "reflect": "symmetric", "repeat": "edge"}


@pytest.mark.parametrize("padding", [("periodic", "reflect", "repeat"), ("reflect",) * 3])
def test_padding__each_axis_equals_numpys(tmp_path, padding):
    values, fields = vector_box(tmp_path, padding=padding)
    data = dataset(fields, factor=1, halo=(3, 2, 1))
    whole = values[0]
    for axis, (mode, halo) in enumerate(zip(padding, (3, 2, 1), strict=True), start=1):
        widths = [(0, 0)] * 4
        widths[axis] = (halo, halo)
        whole = np.pad(whole, widths, PADS[mode])
    for i, (a, b, c) in enumerate(data.anchors):
        x, y = read(data, i)
        assert np.array_equal(x, whole[:, a : a + 10, b : b + 8, c : c + 6])
        assert np.array_equal(y, values[0][:, a : a + 4, b : b + 4, c : c + 4])
    assert len(data.anchors) == 8


def test_padding__none_keeps_crops_off_the_edges(tmp_path):
    values, fields = vector_box(tmp_path, padding=("none", "periodic", "none"))
    data = dataset(fields, factor=1, halo=(2, 1, 1))
    assert data.anchors == tuple((2, b, c) for b in (0, 4) for c in (1, 3))
    x, _ = read(data, 0)
    whole = np.pad(values[0], ((0, 0), (0, 0), (1, 1), (0, 0)), "wrap")
    assert np.array_equal(x, whole[:, 0:8, 0:6, 0:6])
    with pytest.raises(DataError, match="keeps crops 3 cells off the edges, but"):
        dataset(fields, factor=1, halo=3)


def test_padding__none_bounds_random_shifts(tmp_path):
    augment = Augment(random_shift=True)
    _, fields = vector_box(tmp_path, padding=("none", "reflect", "periodic"), augment=augment)
    data = dataset(fields, factor=1, halo=1)
    found = {data._augment.start(i, e, data.anchors[0]) for i in range(16) for e in range(40)}
    assert {a for a, _, _ in found} == {1, 2, 3}
    assert {b for _, b, _ in found} == {0, 1, 2, 3, 4}
    assert {c for _, _, c in found} == set(range(8))


def test_crop__start_stop_and_step(tmp_path):
    _, fields = vector_box(tmp_path, crop_start=(1, 0, 2), crop_stop=(5, 8, 8), stride=(2, 8, 3))
    assert dataset(fields, factor=1, halo=0).anchors == tuple(
        (a, 0, c) for a in (1, 3) for c in (2, 5)
    )
    _, fields = vector_box(tmp_path, padding=("reflect",) * 3, crop_start=(6, 0, 0))
    with pytest.raises(DataError, match=r"no crop starts in \[6, 5\) along axis 0; allowed: cells"):
        dataset(fields, factor=1, halo=0)


def test_identity__is_among_the_symmetries(tmp_path):
    _, fields = vector_box(tmp_path, augment=Augment(octahedral=True))
    assert Symmetry() in dataset(fields, factor=1, halo=0)._augment.symmetries
