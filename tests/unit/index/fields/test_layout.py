"""Fields and axes of files."""

from pathlib import Path

import pytest

from hpctrain.errors import DataError
from hpctrain.index.fields.layout import channel_names, label_of, layouts_of
from hpctrain.index.headers.arrays import ArrayHeader, FileHeader


def field(name, dims=("lat", "r", "lon"), shape=(4, 3, 8), **options):
    return ArrayHeader(name, shape, ">f4", dims, **options)


def netcdf(*arrays):
    return FileHeader(Path("m.nc"), "netcdf3", arrays)


def npy(*shape, **options):
    return FileHeader(Path("f.npy"), "npy", (ArrayHeader("", shape, "<f4", **options),))


@pytest.mark.parametrize(
    ("dims", "order", "slow"),
    [
        (("lat", "r", "lon"), (1, 0, 2), 1),
        (("lon", "lat", "r"), (2, 1, 0), 2),
        (("radius", "latitude", "longitude"), (0, 1, 2), 0),
    ],
)
def test_axes__found_by_name_in_any_order(dims, order, slow):
    (layout,) = layouts_of([netcdf(field("T", dims, (4, 5, 6)))], "sphere", [])
    assert (layout.order, layout.slow_axis) == (order, slow)
    assert layout.shape == tuple((4, 5, 6)[i] for i in order)


def test_axes__time_axis_of_one_step_is_dropped():
    array = field("T", ("time", "lat", "r", "lon"), (1, 4, 3, 8))
    (layout,) = layouts_of([netcdf(array)], "sphere", [])
    assert (layout.shape, layout.dims) == ((3, 4, 8), ("r", "lat", "lon"))


def test_axes__several_time_steps_in_a_file_are_refused():
    array = field("T", ("time", "lat", "r", "lon"), (2, 4, 3, 8))
    with pytest.raises(DataError, match="one time step a file"):
        layouts_of([netcdf(array)], "sphere", ["T"])


def test_variables__empty_takes_all_on_the_grid_in_file_order():
    header = netcdf(field("lat", ("lat",), (4,)), field("b"), field("a"))
    (layout,) = layouts_of([header], "sphere", [])
    assert [a.name for a in layout.arrays] == ["b", "a"]


def test_variables__unknown_name_gets_a_suggestion():
    with pytest.raises(DataError, match=r"no variable 'temprature'.*Did you mean 'temperature'"):
        layouts_of([netcdf(field("temperature"))], "sphere", ["temprature"])


def test_variables__given_twice_is_refused():
    with pytest.raises(DataError, match="T is given twice"):
        layouts_of([netcdf(field("T"))], "sphere", ["T", "T"])


def test_variables__spread_over_several_files():
    headers = [netcdf(field("T")), netcdf(field("vx"), field("vy"))]
    layouts = layouts_of(headers, "sphere", ["vy", "T", "vx"])
    assert channel_names(layouts, ["a", "b"], ["vy", "T", "vx"], False) == ("T", "vy", "vx")
    with pytest.raises(DataError, match="vz in none of"):
        layouts_of(headers, "sphere", ["T", "vx", "vz"])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (field("T", attributes={"scale_factor": 0.1}), "is packed"),
        (field("T", contiguous=False), "lies apart"),
        (ArrayHeader("T", (4, 3, 8), "|S1", ("lat", "r", "lon")), "holds text"),
        (field("T", ("y", "x", "z")), "no variable lies on a grid of r, lat, lon"),
    ],
)
def test_variables__what_would_be_misread_is_refused(array, message):
    with pytest.raises(DataError, match=message):
        layouts_of([netcdf(array)], "sphere", [])


def test_variables__grids_that_differ_are_refused():
    with pytest.raises(DataError, match="variables differ in their grid"):
        layouts_of([netcdf(field("a"), field("b", shape=(4, 3, 9)))], "sphere", [])
    with pytest.raises(DataError, match="fields of one sample differ in their grid"):
        layouts_of([npy(3, 4, 4, 4), npy(4, 4, 5)], "box", [])


def test_npy__channels_come_first_or_there_is_one():
    many, one = layouts_of([npy(3, 4, 5, 6), npy(4, 5, 6)], "box", [])
    assert (many.num_channels, many.shape, many.slow_axis) == (3, (4, 5, 6), 0)
    assert (one.num_channels, one.shape) == (1, (4, 5, 6))
    with pytest.raises(DataError, match=r"shape \[4, 4\]"):
        layouts_of([npy(4, 4)], "box", [])


def test_npy__fortran_order_has_its_slow_axis_last():
    (layout,) = layouts_of([npy(3, 4, 5, 6, fortran=True)], "box", [])
    assert layout.slow_axis == 2


def test_names__of_npy_come_from_pattern_or_variables():
    layouts = layouts_of([npy(3, 4, 4, 4), npy(4, 4, 4)], "box", [])
    patterns = ["hr/disp-*.npy", "rho/*.npy"]
    assert channel_names(layouts, patterns, [], False) == ("disp_0", "disp_1", "disp_2", "rho")
    assert channel_names(layouts, patterns, list("abcd"), False) == tuple("abcd")
    with pytest.raises(DataError, match="2 names for 4 channels"):
        channel_names(layouts, patterns, ["a", "b"], False)
    assert channel_names(layouts, patterns, ["a", "b"], is_input=True)[-1] == "rho"


@pytest.mark.parametrize(
    ("pattern", "label"),
    [("a/R0-*.npy", "R0"), ("vel/f*.npy", "f"), ("vel/*.npy", "vel"), ("*/*.npy", "field")],
)
def test_label__is_the_last_text_of_a_pattern(pattern, label):
    assert label_of(pattern) == label
