import csv
import io

import numpy as np
import pytest
from PIL import Image

from hpctrain.cli import main
from hpctrain.config.read_rule import read_rule
from hpctrain.errors import ConfigError, DataError
from hpctrain.formats.mobotix import optical_columns, read_thermal, read_values
from hpctrain.formats.sage_names import parse_name
from hpctrain.index.build import build_index
from hpctrain.registry import SAMPLES, resolve
from hpctrain.samples.sky import write_sample
from hpctrain.samples.sky_camera import ELEVATIONS, Mount, thermal_rays
from hpctrain.samples.sky_clouds import Weather
from hpctrain.samples.sky_thermal import clear_sky
from tests.requires import SHARED_DATA, requires

SMALL = {"scenes": 48, "nodes": 2, "size": (480, 160), "bad": 8}


@pytest.fixture(scope="session")
def sky_dir(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "sky"
    write_sample(out, **SMALL, raw=True)
    return out


@pytest.fixture(scope="session")
def rows(sky_dir):
    return list(csv.DictReader(io.StringIO((sky_dir / "metadata.csv").read_text())))


def halves(sky_dir, row):
    with Image.open(sky_dir / "train/rgb" / row["rgb"]) as image:
        frame = np.asarray(image)
    name = parse_name(row["thermal"])
    columns = optical_columns(frame.shape[1], name.side)
    other = slice(0, columns.start) if columns.start else slice(columns.stop, None)
    return frame[:, columns], frame[:, other]


def celsius(sky_dir, row):
    return read_thermal(sky_dir / "train/thermal" / row["thermal"]).celsius


def good(rows, part=None, row="sky"):
    return [r for r in rows if r["is_bad"] == "0" and r["row"] == row and part in (None, r["part"])]


def shown(sky_dir, row, shift=0.0):
    """The optical pixels that the thermal frame shows, as many as it has: (252, 336, 3)."""
    optical, _ = halves(sky_dir, row)
    box = [float(row[f"crop_{edge}"]) for edge in ("left", "top", "right", "bottom")]
    box[0], box[2] = box[0] + shift, box[2] + shift
    image = Image.fromarray(optical).resize((336, 252), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image).astype(float)


def red_by_blue(pixels):
    return pixels[..., 0] / np.maximum(pixels[..., 2], 1)


def explained(sky_dir, row):
    """Share of the thermal frame's variance that colour and brightness of the picture explain."""
    pixels, values = shown(sky_dir, row), celsius(sky_dir, row).ravel()
    known = np.stack([np.ones(values.size), red_by_blue(pixels).ravel(), pixels.mean(-1).ravel()])
    weights = np.linalg.lstsq(known.T, values, rcond=None)[0]
    return 1 - (values - known.T @ weights).var() / values.var()


def clear(row, clear_drop=55.0):
    """The clear sky over a frame, as one would know it from a thermometer and the preset."""
    weather = Weather(float(row["air_celsius"]), 0, 1, 1, clear_drop, 0, (0, 0))
    rays = thermal_rays(0, ELEVATIONS[row["row"]], Mount(0, 0, (0, 0)))
    return clear_sky(weather, rays.elevation)


def agreement(sky_dir, row, shift=0.0):
    return ((red_by_blue(shown(sky_dir, row, shift)) > 0.82) == is_cloud(sky_dir, row)).mean()


def is_cloud(sky_dir, row):
    return celsius(sky_dir, row) > clear(row) + 12


def test_write_sample__is_registered():
    assert resolve(SAMPLES["sky"]) is write_sample


def test_write_sample__day_both_eyes_see_the_same_clouds(sky_dir, rows):
    day = good(rows, "day")
    assert len(day) >= 8
    found = np.mean([agreement(sky_dir, row) for row in day])
    assert found > 0.85
    # The crop matters: a quarter of the picture beside it, clouds do not agree.
    broken = [r for r in day if 0.25 < is_cloud(sky_dir, r).mean() < 0.75]
    assert len(broken) >= 3
    right = np.mean([agreement(sky_dir, r) for r in broken])
    wrong = np.mean([agreement(sky_dir, r, shift=-30) for r in broken])
    assert right > wrong + 0.1


def test_write_sample__night_only_the_thermal_eye_sees_clouds(sky_dir, rows):
    night = good(rows, "night") + good(rows, "night", "horizon")
    night = [r for r in night if 0.1 < is_cloud(sky_dir, r).mean() < 0.9]
    assert len(night) >= 4
    for row in night:
        assert halves(sky_dir, row)[0].mean() < 45
        assert np.ptp(celsius(sky_dir, row)) > 15
        assert explained(sky_dir, row) < 0.02
    assert np.mean([explained(sky_dir, row) for row in good(rows, "day")]) > 0.5


def test_write_sample__clear_zenith_is_50_to_60_k_below_the_air(sky_dir, rows):
    lowest = {
        row["thermal"]: float(row["air_celsius"]) - celsius(sky_dir, row)[:20].min()
        for row in good(rows)
    }
    # The top of a sky frame is some 20 degrees off the zenith, and often cloudy.
    assert 45 < max(lowest.values()) < 61
    for row in good(rows, row="horizon"):
        values = celsius(sky_dir, row)
        # Upwards it gets colder: the first row against one just above the skyline.
        assert values[0].min() < values[150].min() - 5
        assert values[-1].mean() > values[0].mean() + 5


def test_write_sample__every_temperature_is_on_the_cameras_law(sky_dir, rows):
    for row in rows[:12]:
        if row["fault"] in ("missing-twin", "truncated-csv"):
            continue
        path = sky_dir / "train/thermal" / row["thermal"]
        counts = read_thermal(path).counts
        parsed = np.loadtxt(path, skiprows=8, delimiter=";")
        np.testing.assert_allclose(parsed, 0.04 * counts - 273.15, atol=1e-9)
        raw = path.with_name(path.name.replace(".celsius", "").replace(".csv", ".raw"))
        np.testing.assert_array_equal(read_thermal(raw).counts, counts)


@requires(shared_data=True)
def test_write_sample__range_is_that_of_real_frames(sky_dir, rows):
    (path,) = (SHARED_DATA / "sage/recovered/thermal").glob("20230308*.csv")
    real = read_values(path)
    # No thermometer is in the picture: the ground's median stands for the air.
    gap, cloud = np.percentile(real[:190], (0, 75)) - np.median(real[235:])
    found = []
    for row in good(rows, "day") + good(rows, "day", "horizon"):
        if 0.25 < is_cloud(sky_dir, row).mean() < 0.95:
            values = celsius(sky_dir, row)[:150] - float(row["air_celsius"])
            found.append((values.min(), values.max()))
    gaps, clouds = zip(*found, strict=True)
    assert gap == pytest.approx(np.median(gaps), abs=10)  # small gaps, at another elevation
    assert min(clouds) - 5 < cloud < max(clouds)


def test_write_sample__its_rule_knows_sun_and_views(sky_dir, rows):
    rule = read_rule(str(sky_dir / "rule.yaml"), {})
    index = build_index(sky_dir / "train", rule).made
    truth = {row["thermal"]: row for row in rows}
    found = [row for row in index.rows if row["thermal"] and row["sun_elevation"]]
    assert len(found) > len(rows) // 2
    for row in found:
        wanted = truth[row["thermal"].rpartition("/")[2]]
        if wanted["is_bad"] != "1":
            assert row["view"] == wanted["row"]
            assert abs(float(row["sun_elevation"]) - float(wanted["sun_elevation"])) < 0.5
            assert wanted["part"] in (row["daylight"], "dusk")


def test_write_sample__layout_names_and_lists(sky_dir, rows):
    names = ["DATA_CARD.md", "metadata.csv", "rule.yaml", "train"]
    assert sorted(p.name for p in sky_dir.iterdir()) == names
    folders = sorted(p.name for p in (sky_dir / "train").iterdir())
    assert folders == ["bad_pairs", "pairs", "rgb", "thermal"]
    assert len(rows) == 48
    for row in rows:
        rgb, thermal = parse_name(row["rgb"]), parse_name(row["thermal"])
        assert (sky_dir / row["pair"]).read_text() == f"{row['rgb']}\n{row['thermal']}\n"
        assert (rgb.width, rgb.height, thermal.width, thermal.height) == (480, 160, 336, 252)
        assert thermal.side == "right"
        assert str(thermal.timestamp_ns) == row["timestamp_ns"]
        assert row["pair"].split("/")[-2] == row["node"]
        if row["is_bad"] == "0":
            assert str(rgb.position) == str(thermal.position) == row["position"]
            assert rgb.timestamp_ns == thermal.timestamp_ns
    card = (sky_dir / "DATA_CARD.md").read_text()
    for text in ("seed: 0", "0.04 * count - 273.15", "no cirrus", "Public domain", "left | top"):
        assert text in card


def test_write_sample__right_half_is_the_thermal_frame(sky_dir, rows):
    for row in good(rows)[:6]:
        _, painted = halves(sky_dir, row)
        small = Image.fromarray(painted).convert("L").resize((84, 63), Image.Resampling.BOX)
        frame = celsius(sky_dir, row).reshape(63, 4, 84, 4).mean((1, 3))
        assert np.corrcoef(np.asarray(small).ravel(), frame.ravel())[0, 1] > 0.9


def test_write_sample__bad_pairs_are_as_the_table_says(sky_dir, rows):
    bad = {r["fault"]: r for r in rows if r["is_bad"] == "1"}
    assert len(bad) == 8
    rgb, thermal = sky_dir / "train/rgb", sky_dir / "train/thermal"
    with (
        Image.open(rgb / bad["truncated-jpeg"]["rgb"]) as image,
        pytest.raises(OSError, match="truncated"),
    ):
        image.load()
    with pytest.raises(DataError, match="truncated"):
        read_thermal(thermal / bad["truncated-csv"]["thermal"])
    assert not (thermal / bad["missing-twin"]["thermal"]).exists()
    copy = bad["duplicate"]
    content = (rgb / copy["rgb"]).read_bytes()
    assert sum(path.read_bytes() == content for path in rgb.iterdir()) == 2
    times = [parse_name(bad["unequal-times"][k]).timestamp_ns for k in ("rgb", "thermal")]
    assert times[1] - times[0] == 55 * 60 * 10**9
    card = (sky_dir / "DATA_CARD.md").read_text()
    for fault, row in bad.items():
        assert f"- {row['pair']}: {fault}" in card


def test_write_sample__repeats_by_seed_and_knows_what_is_there(tmp_path):
    few = {"scenes": 9, "nodes": 2, "size": (96, 32), "bad": 1}
    first, again, other = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    for out, seed in ((first, 0), (again, 0), (other, 1)):
        write_sample(out, **few, seed=seed)
    contents = [
        {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
        for out in (first, again, other)
    ]
    assert contents[0] == contents[1]
    assert not set(contents[0]) & set(contents[2]) - {p for p in contents[2] if len(p.parts) == 1}
    lines = []
    files = write_sample(first, **few, progress=lines.append)
    assert lines == [f"{first}: all {len(files)} files are there, unaltered"]
    with pytest.raises(ConfigError, match="sample of other parameters"):
        write_sample(first, **few, seed=2)
    changed = next((first / "train/rgb").iterdir())
    changed.write_bytes(b"")
    with pytest.raises(ConfigError, match="is not the file that"):
        write_sample(first, **few)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenes": 0}, "scenes is 0; give at least 1"),
        ({"nodes": 9}, "nodes is 9; give 1 to 8"),
        ({"nodes": 0}, "nodes is 0; give 1 to 8"),
        ({"bad": 25}, "bad is 25; give 0 to 24, half of the scenes"),
        ({"size": (481, 160)}, "size is .481, 160.; give columns"),
        ({"size": (48, 16)}, "give columns"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_write_sample__refuses_bad_parameters(tmp_path, options, message):
    with pytest.raises(ConfigError, match=f"sample sky: .*{message}"):
        write_sample(tmp_path / "out", **{**SMALL, **options})
    assert not (tmp_path / "out").exists()


def test_sample_sky__options_of_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [
        "--scenes",
        "4",
        "--nodes",
        "1",
        "--bad",
        "2",
        "--size",
        "96,32",
        "--raw",
        "--seed",
        "3",
    ]
    with pytest.raises(SystemExit) as ended:
        main(["sample", "sky", *words])
    assert not ended.value.code
    said = capsys.readouterr()
    # Four pictures, three tables and as many binary frames (a twin is missing), lists, and two
    # that speak of all.
    assert said.out == "data/sky: 16 files\n"
    assert said.err.startswith("scan 1 of 1: V017, ")
    card = (tmp_path / "data/sky/DATA_CARD.md").read_text()
    for text in ("pairs: 4, of which 2", "nodes: 1", "seed: 3", "96x32", "beside them: yes"):
        assert text in card
