"""Slices and cubes of CosmoFlow's HDF5 and of npy boxes."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from hpctrain.config.data import Fields
from hpctrain.data.crops import CropDataset
from hpctrain.errors import DataError
from hpctrain.index import build_fields_index
from tests.unit.data.builders import read

SIZE = 8
PATTERN = "u*.hdf5"


def write_universes(folder: Path, count: int = 3, **options: object) -> list[np.ndarray]:
    """CosmoFlow's layout: (x, y, z, redshift) int16; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    fields = []
    for i in range(count):
        full = rng.poisson(1.0, (SIZE, SIZE, SIZE, 3)).astype(np.int16)
        with h5py.File(folder / f"u{i}.hdf5", "w") as file:
            file.create_dataset("full", data=full, **options)
            file["redshifts"] = [0.0, 0.5, 3.0]
            file["physPar"] = [0.3, 0.8]
        fields.append(full)
    return fields


def fields(root: Path, **options: object) -> Fields:
    given = {"targets": [PATTERN], "validation_steps": 1, "crop": (1, 4, 4), "geometry": "box"}
    given |= {"normalization": "none", "variables": ["z=0"]} | options
    return Fields(kind="fields", root=str(root), **given)


def crops(data: Fields, split: str = "train", seed: int = 0) -> CropDataset:
    return CropDataset(data, build_fields_index(data, 1, Path("/")), split, seed)


@pytest.mark.parametrize("options", [{}, {"chunks": (4, 4, 4, 3), "compression": "gzip"}])
def test_slices__across_each_axis(tmp_path: Path, options: dict[str, object]) -> None:
    universes = write_universes(tmp_path, **options)
    data = crops(fields(tmp_path, slice_axes=(0, 1, 2), stride=(2, 4, 4), variables=["z=0.5"]))
    assert len(data) == 2 * data.samples_per_file == 2 * 3 * 4 * 4
    assert data.variables == ("z=0.5",)
    seen = 0
    for i in range(len(data)):
        name = data.sample_name(i)
        place = name.partition("[")[2].partition("]")[0]
        x, y, z = (int(part.split()[1]) for part in place.split(","))
        axis = "xyz".index(name[-1])
        box = universes[data.file_of(i)][..., 1]
        part = box[
            x : x + (axis != 0) * 3 + 1, y : y + (axis != 1) * 3 + 1, z : z + (axis != 2) * 3 + 1
        ]
        assert np.array_equal(read(data, i)[1][0], np.moveaxis(part, axis, 0)), name
        seen += 1 << (8 * axis)
    assert seen == 32 * (1 + (1 << 8) + (1 << 16)), "as many across each axis"


def test_split__is_by_universe(tmp_path: Path) -> None:
    write_universes(tmp_path)
    data = fields(tmp_path, slice_axes=(0, 2))
    train, validation = (crops(data, split) for split in ("train", "validation"))
    files = [{p.name for i in range(len(d)) for p in d.paths(i)} for d in (train, validation)]
    assert files == [{"u0.hdf5", "u1.hdf5"}, {"u2.hdf5"}]


def test_redshifts__are_channels_of_their_own(tmp_path: Path) -> None:
    (first, *_) = write_universes(tmp_path)
    data = crops(fields(tmp_path, variables=[], crop=(4, 4, 4)))
    assert data.variables == ("z=0", "z=0.5", "z=3")
    assert np.array_equal(read(data, 0)[1], np.moveaxis(first[:4, :4, :4], -1, 0))
    with pytest.raises(DataError, match="no variable 'z=1'; choose from z=0, z=0.5, z=3"):
        crops(fields(tmp_path, variables=["z=1"]))


@pytest.mark.parametrize("crop", [(1, 8, 8), (4, 4, 4)])
def test_augmentation__is_a_shift_and_a_symmetry_of_the_periodic_box(
    tmp_path: Path, crop: tuple[int, int, int]
) -> None:
    (first, *_) = write_universes(tmp_path)
    augment = {"random_shift": True, "octahedral": True}
    axes = (0, 1, 2) if crop[0] == 1 else (0,)
    data = crops(fields(tmp_path, crop=crop, augment=augment, slice_axes=axes))
    box = first[..., 0]
    known = set()
    for axis in axes:
        cells = [crop[0] if a == axis else crop[1] for a in range(3)]
        for start in np.ndindex(box.shape):
            index = np.ix_(*((s + np.arange(n)) % SIZE for s, n in zip(start, cells, strict=True)))
            known.add(np.sort(box[index], axis=None).tobytes())
    seen = set()
    for epoch in range(12):
        found = read(data, 0, epoch)[1]
        assert np.array_equal(found, read(data, 0, epoch)[1]), "drawn from seed, epoch and number"
        assert np.sort(found.astype(np.int16), axis=None).tobytes() in known
        seen.add(found.tobytes())
    assert len(seen) > 8
    plain = crops(fields(tmp_path, crop=crop, augment=augment, slice_axes=axes), "validation")
    assert np.array_equal(read(plain, 0, 0)[1], read(plain, 0, 1)[1]), "validation stays"


def test_normalisation__is_s_of_x(tmp_path: Path) -> None:
    write_universes(tmp_path)
    norm = {"kind": "ratio", "options": {"a": 2.5}}
    data = crops(fields(tmp_path, target_norms=[norm]))
    raw = read(data, 3)[1]
    data.scales = data.measure_scales()
    assert np.allclose(read(data, 3)[1], 2 * raw / (raw + 2.5) - 1, atol=1e-6)


def test_halves__are_files_and_with_styles_parts_of_files(tmp_path: Path) -> None:
    write_universes(tmp_path, 4)
    (tmp_path / "styles.csv").write_text(
        "file,omega\n" + "".join(f"u{i}.hdf5,0.{i}\n" for i in range(4))
    )
    data = crops(fields(tmp_path, validation_steps=2), "validation")
    assert [data.half_of(i) for i in range(len(data))] == [
        data.file_of(i) for i in range(len(data))
    ]
    styled = crops(fields(tmp_path, validation_steps=2, styles="styles.csv"), "validation")
    n = styled.samples_per_file
    assert [styled.half_of(i) for i in range(2 * n)] == 2 * ([0] * (n // 2) + [1] * (n // 2))
    both = fields(tmp_path, validation_steps=1, styles="styles.csv", slice_axes=(0, 1))
    found = [crops(both, "validation").half_of(i) for i in range(2 * n)]
    assert found == [0] * (n // 2) + [1] * (n // 2) + [None] * n, "those would hold the same cells"
    assert styled.style_names == ("omega",)
    assert styled.styles is not None
    assert styled.styles.ravel().tolist() == pytest.approx([0.2, 0.3])


def test_periodic__only_where_a_sample_spans_the_box(tmp_path: Path) -> None:
    write_universes(tmp_path)
    for crop, expected in (((1, 8, 8), True), ((1, 8, 4), False), ((8, 8, 8), True)):
        assert crops(fields(tmp_path, crop=crop)).is_periodic is expected
    bounded = fields(tmp_path, crop=(1, 8, 8), padding=("none", "none", "none"))
    assert not crops(bounded).is_periodic


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"geometry": "sphere"}, "field_gan learns fields in a box; found sphere"),
        ({"crop": (4, 4, 4), "slice_axes": (1,)}, "cuts slices, and data.crop is"),
        ({"slice_axes": (1, 1)}, "names an axis twice"),
    ],
)
def test_options__without_effect(tmp_path: Path, options: dict[str, object], text: str) -> None:
    write_universes(tmp_path)
    with pytest.raises(DataError, match=text):
        crops(fields(tmp_path, **options))


def test_vectors__are_not_mixed_by_slices_across_several_axes(tmp_path: Path) -> None:
    for i in range(2):
        np.save(tmp_path / f"f{i}.npy", np.full((3, 8, 8, 8), i, np.float32))
    options = {"targets": ["f*.npy"], "variables": [], "slice_axes": (0, 1)}
    with pytest.raises(DataError, match="would mix the components of a vector"):
        crops(fields(tmp_path, **options))


def write_flat_boxes(folder: Path) -> None:
    """Boxes of 4 x 8 x 8 cells."""
    rng = np.random.default_rng(0)
    for i in range(2):
        np.save(folder / f"f{i}.npy", rng.random((4, 8, 8), np.float32))


FLAT: dict[str, object] = {"targets": ["f*.npy"], "variables": []}


@pytest.mark.parametrize("axis", [1, 2])
def test_crop__turned_must_fit_into_the_box(tmp_path: Path, axis: int) -> None:
    write_flat_boxes(tmp_path)
    options = FLAT | {"crop": (1, 8, 8), "stride": (1, 8, 8)}
    assert len(crops(fields(tmp_path, **options))) == 4
    text = rf"f0\.npy: slices across axis {axis} of data\.slice_axes have 8 cells along axis 0.* 4"
    with pytest.raises(DataError, match=text):
        crops(fields(tmp_path, **options, slice_axes=(0, axis)))


def test_periodic__only_where_slices_across_all_axes_span_the_box(tmp_path: Path) -> None:
    write_flat_boxes(tmp_path)
    for axes, crop, expected in (
        ((0,), (1, 8, 8), True),
        ((1,), (1, 4, 8), True),
        ((1, 2), (1, 4, 8), True),
        ((1, 0), (1, 4, 8), False),
    ):
        found = crops(fields(tmp_path, **FLAT, crop=crop, stride=crop, slice_axes=axes))
        assert found.is_periodic is expected, axes


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_max_shift__turns_with_the_slices(tmp_path: Path, axis: int) -> None:
    """Less than 3 cells across slices, none along them."""
    (box, *_) = write_universes(tmp_path)
    augment = {"random_shift": True, "max_shift": (3, 1, 1)}
    options = {"crop": (1, 8, 8), "stride": (8, 8, 8), "augment": augment}
    data = crops(fields(tmp_path, **options, slice_axes=(axis,)))
    slices = np.moveaxis(box[..., 0], axis, 0)
    seen = set()
    for epoch in range(20):
        (found,) = read(data, 0, epoch)[1]
        (number,) = (i for i, own in enumerate(slices) if np.array_equal(own, found[0]))
        seen.add(number)
    assert seen == {0, 1, 2}
