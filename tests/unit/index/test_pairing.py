"""What belongs together, and what speaks against it."""

import textwrap

import pytest

from hpctrain.config.read_rule import read_rule, rule_names
from hpctrain.errors import ConfigError, DataError
from tests.jobs import REPO
from tests.requires import SHARED_DATA, requires

from .sky import NS, built, reasons, table, write_pair, write_pairs


def touch(root, *names, text="x"):
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}{number}{name}")
    return root


def pairs(index, *names):
    names = names or index.columns.modalities
    return [tuple(row[name] for name in names) for row in index.rows]


def two(pair="stem", **options):
    modalities = {"a": {"files": "a/**/*.dat"}, "b": {"files": "b/**/*.dat"}}
    return {"modalities": modalities, "pair": pair, **options}


def test_sage__pairs_by_node_and_time_to_the_nanosecond(tmp_path):
    write_pairs(tmp_path, 3)
    write_pair(tmp_path, 1, node="W07B", seed=9)
    rows = built(tmp_path).rows
    assert [(r["node"], r.status) for r in rows] == [("W02D", "ok")] * 3 + [("W07B", "ok")]
    assert rows[1].id == f"W02D/{NS + 3_600_000_000_000}"
    assert rows[1]["timestamp"] == "2023-03-08T21:58:38Z"
    assert rows[1]["position"] == "3"
    rgb, _ = write_pair(tmp_path, 7)
    rgb.rename(rgb.with_name(rgb.name.replace(str(NS + 7 * 3_600_000_000_000), f"{NS + 1}")))
    assert [r.reason for r in built(tmp_path).rows if r.status == "bad"] == [
        "missing-twin: no thermal", "missing-twin: no rgb",
    ]  # fmt: skip


def test_sage__positions(tmp_path):
    write_pair(tmp_path, 0, position="3", thermal_position="5")
    write_pair(tmp_path, 1, position="")
    write_pair(tmp_path, 2)
    assert [r.reason for r in built(tmp_path).rows] == ["unequal-positions: 3 and 5", "", ""]
    found = [r.reason for r in built(tmp_path, missing_position="bad").rows]
    assert found == ["unequal-positions: 3 and 5", "missing-position: in all names", ""]
    assert [r.reason for r in built(tmp_path, positions="any").rows] == ["", "", ""]


def test_sage__windows_and_excluded_nodes(tmp_path):
    write_pairs(tmp_path, 3)
    write_pair(tmp_path, 2, node="ANL", seed=7)
    window = {"start": "2023-03-08T21:00", "stop": "2023-03-08T22:00Z"}
    found = [r.reason for r in built(tmp_path, window=window).rows if r["node"] == "W02D"]
    assert found == [
        "outside-window: 2023-03-08T20:58:38Z",
        "",
        "outside-window: 2023-03-08T22:58:38Z",
    ]
    exclude = [{"node": "ANL", "after": "2023-03-08"}]
    assert reasons(built(tmp_path, exclude=exclude)) == {
        f"ANL/{NS + 2 * 3_600_000_000_000}": "excluded: node ANL from 2023-03-08 on"
    }
    exclude = [{"node": "ANL", "after": "2023-07-04"}]
    assert reasons(built(tmp_path, exclude=exclude)) == {}


def test_files__faults_and_shapes_are_named_with_their_modality(tmp_path):
    write_pairs(tmp_path, 5)
    paths = [write_pair(tmp_path, n) for n in range(5)]
    paths[0][0].write_bytes(paths[0][0].read_bytes()[:-2])
    paths[1][1].write_text(table(1).replace("width;4", "width;5"))
    whole = table(2)
    paths[2][1].write_text(whole[: whole.rindex("\n\n") + 2] + "1.00;1.00;1.00;1.00\n" * 3)
    paths[3][1].write_text(table(3).replace("height;3", "height;2").rsplit("\n", 2)[0] + "\n")
    found = [r.reason.partition(": ")[::2] for r in built(tmp_path).rows]
    assert [code for code, _ in found] == ["truncated", "truncated", "constant", "shape", ""]
    assert found[0][1].startswith("rgb: ")
    assert found[3][1] == "thermal: 2x4, expected 3x4"
    assert len(reasons(built(tmp_path, inspect="none"))) == 0


def test_files__duplicates_keep_the_first(tmp_path):
    write_pairs(tmp_path, 2)
    write_pair(tmp_path, 2, seed=0)
    assert [r.reason for r in built(tmp_path).rows] == [
        "", "", f"duplicate: rgb: same content as W02D/{NS}",
    ]  # fmt: skip
    assert reasons(built(tmp_path, duplicates=[])) == {}


def test_files__second_file_of_a_key_is_ambiguous(tmp_path):
    write_pairs(tmp_path, 1)
    rgb, _ = write_pair(tmp_path, 0)
    copy = rgb.with_name(rgb.name.replace("position3", "position9"))
    copy.write_bytes(rgb.read_bytes())
    found = built(tmp_path)
    assert [r.status for r in found.rows] == ["ok", "bad"]
    assert "ambiguous: " in found.rows[1].reason


def test_stem__within_a_folder(tmp_path):
    touch(tmp_path, "a/x/1.dat", "a/y/1.dat", "b/x/1.dat", "b/y/1.dat", "b/x/2.dat")
    index = built(tmp_path, None, **two())
    assert [row.id for row in index.rows] == ["x/1", "x/2", "y/1"]
    assert reasons(index) == {"x/2": "missing-twin: no a"}


def test_number__last_one_in_the_name(tmp_path):
    touch(tmp_path, "a/v2_step_7.dat", "a/v2_step_10.dat", "b/out-0007.dat", "b/out-0010.dat")
    found = pairs(built(tmp_path, None, **two("number")))
    assert found == [
        ("a/v2_step_7.dat", "b/out-0007.dat"), ("a/v2_step_10.dat", "b/out-0010.dat"),
    ]  # fmt: skip


def test_order__natural_and_refused_with_gaps(tmp_path):
    touch(tmp_path, "a/p9.dat", "a/p10.dat", "b/q1.dat", "b/q2.dat")
    found = pairs(built(tmp_path, None, **two("order")))
    assert found == [("a/p9.dat", "b/q1.dat"), ("a/p10.dat", "b/q2.dat")]
    touch(tmp_path, "b/q3.dat")
    with pytest.raises(DataError, match=r"a has 2 and b 3; pair by stem"):
        built(tmp_path, None, **two("order"))


def test_regex__groups_become_columns(tmp_path):
    touch(tmp_path, "a/cell_yxz_006_008_004.dat", "b/mask-y6-x8-z4.dat".replace("y6", "y006"))
    rule = two("regex", key=["y"])
    rule["modalities"]["a"]["pattern"] = r"_(?P<y>\d+)_(?P<x>\d+)_(?P<z>\d+)"
    rule["modalities"]["b"]["pattern"] = r"-y(?P<y>\d+)-x(?P<bx>\d+)"
    row = built(tmp_path, None, **rule).rows[0]
    assert (row.status, row["y"], row["x"], row["z"], row["bx"]) == ("ok", "006", "008", "004", "8")
    rule["modalities"]["b"]["pattern"] = r"-q(?P<y>\d+)"
    with pytest.raises(DataError, match="does not fit"):
        built(tmp_path, None, **rule)


def test_match__several_files_a_sample_and_missing_ones(tmp_path):
    touch(tmp_path, "hr/disp/1.npy", "hr/disp/2.npy", "hr/vel/1.npy")
    touch(tmp_path, *(f"lr/{kind}/{number}.npy" for kind in ("disp", "vel") for number in (1, 2)))
    index = built(tmp_path, "map2map", inspect="none")
    assert index.rows[0]["target"] == "hr/disp/1.npy|hr/vel/1.npy"
    assert index.rows[0]["target_sha256"].count("|") == 1
    assert reasons(index) == {"2": "missing-twin: no target"}


def test_folders__a_stack_is_one_file(tmp_path):
    for name in ("1", "2"):
        touch(tmp_path, *(f"{name}/surface_volume/{i:02d}.tif" for i in range(3)), text=name)
        touch(tmp_path, f"{name}/mask.png", text=f"mask{name}")
    touch(tmp_path, "1/inklabels.png")
    index = built(tmp_path, "fragment", inspect="none")
    assert [row["layers"] for row in index.rows] == ["1/surface_volume/", "2/surface_volume/"]
    assert [(row["labels"], row.status) for row in index.rows] == [
        ("1/inklabels.png", "ok"),
        ("", "ok"),
    ]
    before = index.rows[0]["layers_sha256"]
    (tmp_path / "1/surface_volume/01.tif").write_text("other")
    assert built(tmp_path, "fragment", inspect="none").rows[0]["layers_sha256"] != before
    (tmp_path / "2/surface_volume/02.tif").unlink()
    assert "layers: 02.tif" not in str(reasons(built(tmp_path, "fragment", inspect="none")))
    faults = reasons(built(tmp_path, "fragment"))
    assert faults["1"].startswith("unreadable: layers: 00.tif: no TIFF")


@pytest.mark.parametrize("name", ["a|b.dat", "a\nb.dat", "a\tb.dat", "a\udcff.dat"])
def test_names__that_an_index_cannot_hold(tmp_path, name):
    touch(tmp_path, "b/x.dat")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).write_text("x")
    with pytest.raises(DataError, match=r"modalities.a.files: an index cannot hold the name"):
        built(tmp_path, None, **two())


def test_names__with_quotes_and_commas_survive(tmp_path, weird_tmp_path):
    from hpctrain.index.table import parse_rows

    touch(weird_tmp_path, 'a/x, "y".dat', 'b/x, "y".dat', "a/ünï 'z'.dat", "b/ünï 'z'.dat")
    index = built(weird_tmp_path, None, **two())
    assert len(index.rows) == 2
    assert list(parse_rows(index.csv_text)[1]) == list(index.rows)
    pandas = pytest.importorskip("pandas")
    import io

    frame = pandas.read_csv(io.StringIO(index.csv_text), dtype=str, keep_default_na=False)
    assert list(frame["a"]) == [row["a"] for row in index.rows]


def test_rule__nothing_found_names_what_is_there(tmp_path):
    touch(tmp_path, "a/x.txt", "b/x.dat")
    with pytest.raises(DataError, match=r"'a/\*\*/\*.dat' matches nothing .* holds x.txt"):
        built(tmp_path, None, **two())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pair": "time"}, "pair: .*timestamp"),
        ({"position": "name:("}, "no regular expression"),
        ({"node": "parent"}, "folder:N"),
        ({"key": ["y"]}, "only with pair: regex"),
        ({"duplicates": ["x"]}, "no modality x; choose from rgb, thermal"),
        ({"modalities": {"split": {"files": "x"}}}, "none of id, split"),
    ],
)
def test_rule__mistakes_are_explained(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        built(tmp_path, "sage", **options)


@requires(shared_data=True)
def test_real__frames_taken_at_different_times_are_no_pair(tmp_path):
    root = SHARED_DATA / "sage" / "recovered"
    listed = built(root, "sage", pair="listed")
    assert reasons(listed) == {
        "bad_pairs/V017/20230602-132159_position0": "unequal-times: 3323 s apart"
    }
    assert [row["node"] for row in listed.rows] == ["V017", "site_unstated"]
    scanned = built(root)
    assert [row.status for row in scanned.rows] == ["ok", "bad", "bad"]
    assert scanned.rows[0]["timestamp"] == "2023-03-08T20:58:38Z"


@pytest.mark.parametrize("name", ["fragment", "map2map", "sage", "scivis"])
def test_rule__shipped_ones_are_valid_and_said_to_be_there(name):
    assert name in rule_names()
    assert read_rule(name, {}).modalities


def test_rule__of_the_page_is_valid(tmp_path):
    page = (REPO / "docs/how-to/index-my-data.md").read_text()
    block = page.partition("    # sky.yaml\n")[2].partition("\n\n")[0]
    (tmp_path / "sky.yaml").write_text(textwrap.dedent(block))
    rule = read_rule(str(tmp_path / "sky.yaml"), {})
    assert rule.exclude[0].node == "ANL"
