import numpy as np
import pytest

from hpctrain.data import BatchLoader
from hpctrain.data.sampler import Share
from hpctrain.data.styles import read_styles
from hpctrain.errors import DataError
from tests.unit.data.builders import box, dataset, write_boxes


def table(folder, text):
    path = folder / "styles.csv"
    path.write_text(text)
    return path


def test_styles__are_found_by_file_in_any_order(tmp_path):
    path = table(tmp_path, "redshift,file,omega\n2.0,b.npy,0.3\n0.5,a.npy,0.2\n")
    names, values = read_styles(path, ["a.npy", "b.npy"])
    assert names == ("redshift", "omega")
    np.testing.assert_array_equal(values, np.array([[0.5, 0.2], [2.0, 0.3]], np.float32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,z\na.npy,1\n", "has no line for b.npy; add it"),
        ("file,z\na.npy,1\nb.npy,x\n", "styles.csv:3: z is 'x'; allowed: a number"),
        ("file,z\na.npy,1\nb.npy\n", "styles.csv:3: z is None; allowed: a number"),
        ("file,z\na.npy,1\na.npy,2\n", "styles.csv:3: a.npy stands there twice"),
        ("name,z\na.npy,1\n", "allowed: a line of names, `file` and one for each number"),
        ("", "allowed: a line of names"),
    ],
)
def test_styles__what_is_wrong_with_a_table(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_styles(table(tmp_path, text), ["a.npy", "b.npy"])


def test_styles__no_table(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_styles(tmp_path / "none.csv", [])


def test_styles__travel_with_the_batch_and_its_parts(tmp_path):
    write_boxes(tmp_path)
    table(tmp_path, "file,a\nf0.npy,0.25\nf1.npy,0.5\nf2.npy,1\n")
    data = dataset(box(tmp_path, styles="styles.csv"), factor=2, halo=1)
    assert data.style_names == ("a",)
    per_file = len(data.anchors)
    ids = (0, per_file, 1, per_file + 1)
    with BatchLoader(data, iter([Share(0, 0, ids, 4)]), workers=0) as loader:
        batch = next(loader)
    assert batch.style.tolist() == [[0.25], [0.5], [0.25], [0.5]]
    assert [part.style.tolist() for part in batch.micro(2)] == [[[0.25], [0.5]]] * 2
