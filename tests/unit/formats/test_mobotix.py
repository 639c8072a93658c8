import io

import numpy as np
import pytest

from hpctrain.errors import DataError
from hpctrain.formats import celsius_csv
from hpctrain.formats.mobotix import (
    decode_csv,
    encode,
    nearest_counts,
    optical_columns,
    read_thermal,
    read_values,
    to_celsius,
    to_counts,
    write_thermal,
)
from tests.requires import SHARED_DATA, requires

ALL = np.arange(1 << 14, dtype=np.uint16).reshape(128, 128)
NAME = "1685712119123456789-right_{}x{}_14bit.thermal.{}_position5.csv"


def text_of(counts, unit="celsius"):
    rows, columns = counts.shape
    return encode(counts, NAME.format(columns, rows, unit))


def noise(rows, columns, seed=0):
    return np.random.default_rng(seed).integers(0, 1 << 14, (rows, columns)).astype(np.uint16)


def body(data):
    return data.index(b"\n\n") + 2


def test_decode__every_count_the_fast_way_is_what_loadtxt_reads():
    data = text_of(ALL)
    np.testing.assert_array_equal(celsius_csv.decode_words(data, body(data), ALL.shape), ALL)
    parsed = np.loadtxt(io.BytesIO(data), skiprows=8, delimiter=";")
    assert to_celsius(ALL).tobytes() == parsed.tobytes()
    np.testing.assert_array_equal(to_counts(parsed), ALL)
    np.testing.assert_array_equal(to_counts(parsed.astype(np.float32)), ALL)


def test_to_celsius__is_the_law():
    np.testing.assert_allclose(to_celsius(ALL), 0.04 * ALL - 273.15, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (33, 401), (252, 336)])
def test_decode__any_shape_the_fast_way(shape):
    counts = noise(*shape)
    data = text_of(counts)
    np.testing.assert_array_equal(celsius_csv.decode_words(data, body(data), shape), counts)
    np.testing.assert_array_equal(decode_csv(data, "x").counts, counts)


def test_decode__single_changed_bytes_are_never_read_as_another_number():
    counts = noise(3, 5)
    data = text_of(counts)
    start = body(data)
    for at in range(start, len(data)):
        for byte in b"0123456789-.; \n\rxe":
            changed = data[:at] + bytes([byte]) + data[at + 1 :]
            try:
                found = decode_csv(changed, "x").counts
            except DataError:
                continue
            # What is accepted is what a plain parser reads, and lies on the law.
            text = changed[start:].replace(b"\r", b"").rstrip(b";\n")
            rows = [row.strip(b" ;").split(b";") for row in text.split(b"\n")]
            plain = np.array([[float(word) for word in row] for row in rows])
            np.testing.assert_array_equal(to_celsius(found), plain)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data[: body(data)] + data[body(data) :].replace(b"\n", b";\n"),
        lambda data: data[: body(data)] + data[body(data) :].replace(b";", b"; "),
    ],
)
def test_decode__other_ways_to_write_the_same(change):
    counts = noise(6, 9)
    found = decode_csv(change(text_of(counts)), "x")
    np.testing.assert_array_equal(found.counts, counts)
    assert found.side == "right"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"-273.15;", b"-273.14;", "row 1, column 1: -273.14 degrees is not on the camera's law"),
        (b"-268.03", b"nan", "row 2, column 1: found 'nan'"),
        (b"-268.03", b"-268.035", "row 2, column 1: found '-268.035'"),
        (b"-262.99\n", b"", "holds 127 rows of numbers, the header says 128"),
        (b"-268.03;", b"", "row 2 holds 127 numbers, the header says 128; the file is truncated"),
        (b"382.17", b"382.21", "row 128, column 128: 382.21 degrees is not on"),
        (b"unit;degrees Celsius", b"unit;Fahrenheit", "found unit 'Fahrenheit'"),
        (b"width;128", b"width;wide", "found height and width"),
        (b"width;128\n", b"", "does not begin with the camera's seven header lines"),
    ],
)
def test_decode__says_what_is_wrong_where(old, new, message):
    data = text_of(ALL)
    if old == b"-262.99\n":
        data = data[: data.rindex(b"\n", 0, -1) + 1]
    else:
        assert data.count(old) >= 1
        data = data.replace(old, new, 1)
    with pytest.raises(DataError, match=f"^thermal.csv: .*{message}"):
        decode_csv(data, "thermal.csv")


@pytest.mark.parametrize("length", [0, 10, 60, 110, 140, 4000])
def test_decode__truncated_anywhere(length):
    with pytest.raises(DataError, match="truncated|found"):
        decode_csv(text_of(ALL)[:length], "x")


@pytest.mark.parametrize("unit", ["celsius", "uint", "raw"])
def test_write_thermal__and_read(tmp_path, unit):
    counts = noise(12, 20)
    path = tmp_path / NAME.format(20, 12, unit)
    if unit == "raw":
        path = tmp_path / "17-right_20x12_14bit.thermal_position5.raw"
    write_thermal(path, counts)
    found = read_thermal(path)
    np.testing.assert_array_equal(found.counts, counts)
    assert found.counts.dtype == np.uint16
    assert found.side == "right"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_read_thermal__contradicts_its_name(tmp_path):
    path = tmp_path / NAME.format(20, 12, "celsius")
    write_thermal(path, noise(12, 20))
    other = path.rename(tmp_path / path.name.replace("right", "left"))
    with pytest.raises(DataError, match="holds right 20x12, its name says left 20x12"):
        read_thermal(other)


def test_read_thermal__unreadable(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_thermal(tmp_path / NAME.format(20, 12, "celsius"))
    (tmp_path / "6144x2048.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="is a picture"):
        read_thermal(tmp_path / "6144x2048.jpg")
    path = tmp_path / "17-left_20x12_14bit.thermal.raw"
    path.write_bytes(bytes(11))
    with pytest.raises(DataError, match="holds 11 bytes; 20 x 12 counts are 480"):
        read_thermal(path)
    path.write_bytes(b"\xff" * 480)
    with pytest.raises(DataError, match="row 1, column 1: found 65535"):
        read_thermal(path)


@pytest.mark.parametrize(
    ("counts", "name", "message"),
    [
        (noise(2, 3), NAME.format(2, 3, "celsius"), "not a name for a thermal frame of 3 x 2"),
        (noise(2, 3), "3x2.jpg", "not a name for a thermal frame"),
        (noise(2, 3), "3x2_14bit.thermal.celsius.csv", "lacks the sensor's side"),
        (noise(2, 3) + np.uint16(1 << 14), NAME.format(3, 2, "uint"), "row 1, column 1: found"),
    ],
)
def test_encode__refuses(counts, name, message):
    with pytest.raises(DataError, match=message):
        encode(counts, name)


@pytest.mark.parametrize("value", [np.nan, np.inf, 12.345, 12.34, 400.0, -273.19])
def test_to_counts__off_the_law(value):
    values = to_celsius(noise(4, 4))
    values[2, 1] = value
    with pytest.raises(DataError, match="^sky: row 3, column 2: .* is not on the camera's law"):
        to_counts(values, "sky")


def test_nearest_counts__rounds_and_stays_in_the_sensors_range():
    np.testing.assert_array_equal(nearest_counts(to_celsius(ALL).astype(np.float32)), ALL)
    between = to_celsius(ALL[:1]) + np.array([[0.019, -0.019] * 64])
    np.testing.assert_array_equal(nearest_counts(between), ALL[:1])
    np.testing.assert_array_equal(nearest_counts(np.array([-300.0, 500.0])), [0, (1 << 14) - 1])


def test_optical_columns__are_opposite_to_the_sensor():
    assert optical_columns(6144, "right") == slice(0, 3072)
    assert optical_columns(1280, "left") == slice(640, 1280)
    with pytest.raises(DataError, match="no two halves"):
        optical_columns(641, "left")


@requires(shared_data=True)
def test_real_camera__csv_and_raw_hold_the_same_counts():
    stem = SHARED_DATA / "sage/mobotix_raw_sample/stream_000001_left_640x480_14bit.thermal"
    csv, raw = read_thermal(f"{stem}.celsius.csv"), read_thermal(f"{stem}.raw")
    np.testing.assert_array_equal(csv.counts, raw.counts)
    assert csv.side == raw.side == "left"
    data = (stem.parent / f"{stem.name}.celsius.csv").read_bytes()
    assert celsius_csv.decode_words(data, body(data), (480, 640)) is not None
    assert encode(csv.counts, f"{stem.name}.celsius.csv") == data


@requires(shared_data=True)
def test_real_figure__is_off_the_law_and_read_as_values():
    (path,) = (SHARED_DATA / "sage/recovered/thermal").glob("20230308*.csv")
    with pytest.raises(DataError, match="not on the camera's law .* read it as plain numbers"):
        read_thermal(path)
    plain = np.loadtxt(path, skiprows=8, delimiter=";")
    np.testing.assert_array_equal(read_values(path), plain)
