"""Training and validation files."""

import pytest

from hpctrain.errors import DataError
from hpctrain.index.fields.split import split_rows
from tests.unit.index.builders import box


@pytest.fixture
def root(tmp_path):
    for folder in ("hr", "lr", "val"):
        (tmp_path / folder).mkdir()
    for i in range(10):
        (tmp_path / f"hr/f{i}.npy").touch()
        (tmp_path / f"lr/f{i}.npy").touch()
    (tmp_path / "val/f0.npy").touch()
    return tmp_path


def ids(rows, split):
    return [row.id for row in rows if row.split == split]


def test_split__last_files_are_for_validation(root):
    rows = split_rows(box(root, targets=["hr/f*.npy"], validation_steps=3), root)
    assert ids(rows, "train") == [f"hr/f{i}" for i in range(7)]
    assert ids(rows, "validation") == ["hr/f7", "hr/f8", "hr/f9"]


def test_split__files_outside_of_steps_keep_a_row_with_the_reason(root):
    steps = {"start": 1, "stop": 8, "stride": 3}
    rows = split_rows(box(root, targets=["hr/f*.npy"], steps=steps), root)
    assert (ids(rows, "train"), ids(rows, "validation")) == (["hr/f1", "hr/f4"], ["hr/f7"])
    assert {row.reason for row in rows if row.status == "left_out"} == {"outside data.steps"}
    assert len(rows) == 10


def test_split__inputs_are_paired_by_key(root):
    (root / "lr/f3.npy").unlink()
    with pytest.raises(DataError, match=r"data\.inputs has none for '3'"):
        split_rows(box(root, targets=["hr/f*.npy"], inputs=["lr/f*.npy"]), root)
    rows = split_rows(box(root, targets=["hr/f?.npy"], inputs=["hr/f*.npy"]), root)
    assert rows[0].inputs == ("hr/f0.npy",)


def test_split__own_validation_files(root):
    options = {"validation_steps": 0, "validation_targets": ["val/f*.npy"]}
    rows = split_rows(box(root, targets=["hr/f*.npy"], **options), root)
    assert (len(ids(rows, "train")), ids(rows, "validation")) == (10, ["val/f0"])


def test_split__overlap_is_refused(root):
    options = {"validation_steps": 0, "validation_targets": ["hr/f[0-8].npy"]}
    with pytest.raises(DataError, match=r"trained on as well: hr/f0.npy, .* and 4 more"):
        split_rows(box(root, targets=["hr/f*.npy"], **options), root)


def test_split__validation_may_use_what_steps_left_out(root):
    options = {"validation_steps": 0, "validation_targets": ["hr/f9.npy"], "steps": {"stop": 9}}
    rows = split_rows(box(root, targets=["hr/f*.npy"], **options), root)
    assert [row.split for row in rows if row.id == "hr/f9"] == ["validation"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_steps": 0}, "no file is left to validate on"),
        ({"validation_steps": 10}, "10 of 10 files leaves none to train on.*or at most 9"),
        ({"steps": {"start": 10}}, "leaves none of the 10 files"),
    ],
)
def test_split__empty_halves_are_refused(root, options, message):
    with pytest.raises(DataError, match=message):
        split_rows(box(root, targets=["hr/f*.npy"], **options), root)
