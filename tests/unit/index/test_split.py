"""Who learns from which samples."""

from collections import Counter
from pathlib import Path

import pytest

from hpctrain.errors import DataError
from hpctrain.index.split import places_of, split_index
from hpctrain.index.table import Columns, Index, Row

COLUMNS = Columns(("rgb",), ("y", "x", "step"))


def index(days=range(1, 29), nodes=("A", "B"), per_day=3, **cells) -> Index:
    rows = [
        Row.make(
            COLUMNS, id=f"{node}/{day}/{k}", node=node, rgb=f"{node}-{day}-{k}.jpg",
            timestamp=f"2023-03-{day:02d}T{k:02d}:00:00Z", rgb_sha256=f"{node}-{day}-{k}",
            y=str(64 * k), x=str(100 * day), **cells,
        )
        for node in nodes for day in days for k in range(per_day)
    ]  # fmt: skip
    return Index(Path("/d"), rows, {}, COLUMNS)


def recipe(by, validation="20%", seed=0, stratify=None, **parts):
    return {"by": [by] if isinstance(by, str) else by, "parts": {"validation": validation, **parts},
            "seed": seed, "stratify": stratify}  # fmt: skip


def splits_by(found: Index, group) -> dict[str, set[str]]:
    places: dict[str, set[str]] = {}
    for row in found.rows:
        places.setdefault(group(row), set()).add(row.split)
    return places


@pytest.mark.parametrize(
    ("by", "group"),
    [
        ("day", lambda row: row["timestamp"][:10]),
        ("hour", lambda row: row["timestamp"][:13]),
        (["node", "day"], lambda row: row["node"] + row["timestamp"][:10]),
        ("id:^[^/]+/[^/]+", lambda row: row.id.rpartition("/")[0]),
        ("y", lambda row: row["y"]),
    ],
)
def test_split__group_is_never_in_two_splits(by, group):
    validation = "1" if by == "y" else "30%"
    found = split_index(index(), recipe(by, validation), {})
    assert all(len(places) == 1 for places in splits_by(found, group).values())
    assert {row.split for row in found.rows} == {"train", "validation"}


def test_split__depends_on_the_seed_alone():
    first = split_index(index(), recipe("day"), {})
    assert split_index(index(), recipe("day"), {}).rows == first.rows
    assert split_index(index(), recipe("day", seed=1), {}).rows != first.rows
    assert first.facts["split"]["by"] == ["day"]


def test_split__shares_are_near():
    counts = Counter(
        row.split
        for row in split_index(index(range(1, 29), tuple(map(str, range(40)))),
                               recipe(["node", "day"], test="10%"), {}).rows
    )  # fmt: skip
    total = sum(counts.values())
    assert abs(counts["validation"] / total - 0.2) < 0.03
    assert abs(counts["test"] / total - 0.1) < 0.03


@pytest.mark.parametrize("validation", ["20%", "0.2", "5"])
@pytest.mark.parametrize("stratify", [None, "node"])
def test_split__new_groups_move_no_old_ones(validation, stratify):
    by = ["node", "day"]
    old = split_index(index(range(1, 15)), recipe(by, validation, stratify=stratify), {})
    plan = recipe(by, validation, stratify=stratify)
    new = split_index(index(range(1, 29), ("A", "B", "C")), plan, places_of(old, by))
    before = {row.id: row.split for row in old.rows}
    after = {row.id: row.split for row in new.rows}
    assert {key: after[key] for key in before} == before


def test_split__stratified_is_exact_in_each_value():
    found = split_index(index(range(1, 11)), recipe(["node", "day"], "30%", stratify="node"), {})
    groups = {(r["node"], r["timestamp"][:10], r.split) for r in found.rows}
    assert Counter((node, split) for node, _, split in groups) == {
        ("A", "train"): 7, ("A", "validation"): 3, ("B", "train"): 7, ("B", "validation"): 3,
    }  # fmt: skip
    with pytest.raises(DataError, match=r"group '2023-03-01' has 2 values of it; .*--by node"):
        split_index(index(), recipe("day", stratify="node"), {})


def test_split__windows_that_cross_a_region_belong_to_none():
    found = split_index(index(), recipe("region:x=1000/150,y=128/64", "1"), {})
    for row in found.rows:
        x = int(row["x"])
        assert (row.split == "") == (x // 1000 != (x + 149) // 1000)
    with pytest.raises(DataError, match=r"found 'z=3'; .*y, x, step"):
        split_index(index(), recipe("region:z=3"), {})
    with pytest.raises(DataError, match=r"A/1/0: step is '', no whole number"):
        split_index(index(), recipe("region:step=3"), {})


def test_split__equal_content_in_two_splits_is_refused():
    made = index(range(1, 11), ("A",), 1)
    made.rows[0], made.rows[9] = (made.rows[i].replace(rgb_sha256="same") for i in (0, 9))
    seeds = [seed for seed in range(20) if is_refused(made, recipe("day", "5", seed=seed))]
    assert 0 < len(seeds) < 20
    made.rows[0] = made.rows[0].replace(status="bad", reason="duplicate")
    for seed in range(20):
        assert split_index(made, recipe("day", "5", seed=seed), {}).rows[0].split == ""


@pytest.mark.parametrize(
    ("by", "validation", "message"),
    [
        ("camera", "20%", "found 'camera'; allowed: year, month, day, hour"),
        ("day", "lots", "found 'lots'; allowed: 20%, 0.2, or a number"),
        ("day", "120%", "allowed: 20%"),
        ("day", "100%", "leave none for train"),
        ("day", "28", "no group is left for train"),
        ("node", "0.0001", "no group falls into validation: there are only 2"),
        ("id:(", "20%", "no regular expression"),
        ("id:Q", "20%", "does not fit the id"),
    ],
)
def test_split__mistakes_are_explained(by, validation, message):
    with pytest.raises(DataError, match=message):
        split_index(index(), recipe(by, validation), {})


def is_refused(made: Index, plan) -> bool:
    try:
        split_index(made, plan, {})
    except DataError as e:
        return str(e).startswith("equal content in two splits: rgb of A/1")
    return False


def pairs(**second: str) -> Index:
    """Two samples of two modalities that are split by their ids; b differs but in `second`."""
    columns = Columns(("rgb", "mask"))
    a, b = (
        {"id": n, "rgb": f"{n}1|{n}2", "rgb_sha256": f"{n}d1|{n}d2", "mask": f"{n}.png",
         "mask_sha256": f"{n}d3"}
        for n in "ab"
    )  # fmt: skip
    return Index(Path("/d"), [Row.make(columns, **a), Row.make(columns, **b | second)], {}, columns)


@pytest.mark.parametrize(
    "second",
    [{"mask_sha256": "ad3"}, {"mask": "a.png"}, {"rgb_sha256": "bd1|ad1"}, {"rgb": "b1|a1"}],
    ids=str,
)
def test_split__any_file_in_two_splits_is_refused(second):
    plan = recipe("id", "1")
    assert {row.split for row in split_index(pairs(), plan, {}).rows} == {"train", "validation"}
    name = next(iter(second)).partition("_")[0]
    with pytest.raises(DataError, match=rf"equal content in two splits: {name} of b .* and a "):
        split_index(pairs(**second), plan, {})
    other = {"rgb": "mask", "mask": "rgb"}[name]
    shared = pairs(**second)
    shared.facts["rule"] = {"duplicates": [other]}
    assert split_index(shared, plan, {}).facts["split"]["by"] == ["id"]
    shared.facts["rule"] = {"duplicates": ["rgb", "mask"]}
    with pytest.raises(DataError, match="equal content"):
        split_index(shared, plan, {})


def test_split__regions_of_one_file_are_no_leak():
    rows = [
        Row.make(COLUMNS, id=str(x), rgb="a.png", rgb_sha256="d", x=str(x)) for x in (0, 64, 128)
    ]
    made = Index(Path("/d"), rows, {}, COLUMNS)
    assert split_index(made, recipe("region:x=64/32", "1"), {}).rows[0].split
    with pytest.raises(DataError, match="equal content"):
        split_index(made, recipe("x", "1"), {})
