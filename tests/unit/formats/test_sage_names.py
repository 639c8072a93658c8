import pytest

from hpctrain.errors import DataError
from hpctrain.formats.sage_names import (
    DIRECTIONS,
    SKY_POSITIONS,
    frame_name,
    parse_name,
    preset,
    thermal_name,
)

UPLOADED = "1685712119123456789-right_336x252_14bit.thermal.celsius_position5.csv"


def test_parse_name__uploaded_thermal_file():
    name = parse_name(UPLOADED)
    assert (name.timestamp_ns, name.separator, name.side) == (1685712119123456789, "-", "right")
    assert (name.width, name.height, name.unit, name.position) == (336, 252, "celsius", 5)
    assert name.is_thermal


NS, AT = 1685712119123456789, 1678309118 * 10**9


@pytest.mark.parametrize(
    ("text", "timestamp_ns", "side", "size", "unit", "position"),
    [
        (f"{NS}-6144x2048_position0.jpg", NS, None, (6144, 2048), None, 0),
        ("6144x2048_position12.jpg", None, None, (6144, 2048), None, 12),
        (f"{NS}-6144x2048.jpg", NS, None, (6144, 2048), None, None),
        (f"{NS}_1280x480.rgb", NS, None, (1280, 480), None, None),
        ("stream_1_left_640x480_14bit.thermal.raw", None, "left", (640, 480), "raw", None),
        ("stream_1_left_640x480_14bit.thermal.uint.csv", None, "left", (640, 480), "uint", None),
        ("m2_336x252_14bit.thermal.celsius.csv", None, None, (336, 252), "celsius", None),
        ("20230308-205838_6144x2048_positionNA.jpg", AT, None, (6144, 2048), None, None),
        ("20231308-205838_6144x2048_position1.jpg", None, None, (6144, 2048), None, 1),
        (f"{NS}-left_336x252_14bit.thermal_position3.raw", NS, "left", (336, 252), "raw", 3),
    ],
)
def test_parse_name__forms_and_back(text, timestamp_ns, side, size, unit, position):
    name = parse_name(text)
    assert (name.timestamp_ns, name.side, name.unit, name.position) == (
        timestamp_ns,
        side,
        unit,
        position,
    )
    assert (name.width, name.height) == size
    assert str(name) == text


@pytest.mark.parametrize(
    "text",
    [
        "mantle001.nc",
        "1685712119123456789-sample.jpg",
        "right_336x252.jpg",
        "right_336x252_14bit.thermal.celsius.jpg",
        "right_336x252_14bit.thermal.csv",
        "6144x2048_position.jpg",
        "6144x2048_positionX.jpg",
        "",
    ],
)
def test_parse_name__refuses(text):
    with pytest.raises(DataError, match="is not a name of a Mobotix file"):
        parse_name(text)


def test_names__are_built_as_uploaded():
    assert frame_name(17, 6144, 2048, 0) == "17-6144x2048_position0.jpg"
    assert frame_name(17, 6144, 2048, None) == "17-6144x2048.jpg"
    stamp = 1685712119123456789
    assert thermal_name(stamp, "right", (336, 252), 5) == UPLOADED
    raw = thermal_name(stamp, "left", (336, 252), 5, "raw")
    assert raw == f"{stamp}-left_336x252_14bit.thermal_position5.raw"


def test_preset__columns_and_rows():
    assert [preset(p).direction for p in SKY_POSITIONS] == list(DIRECTIONS)
    assert {preset(p).row for p in SKY_POSITIONS} == {"sky"}
    assert [preset(p).row for p in (29, 30, 31, 32)] == ["sky", "horizon", "below", "ground"]
    assert [preset(p).azimuth for p in (1, 9, 17, 29)] == [180, 270, 0, 135]


@pytest.mark.parametrize("position", [0, 33])
def test_preset__refuses(position):
    with pytest.raises(DataError, match="is no preset of the scan; allowed: 1 to 32"):
        preset(position)
