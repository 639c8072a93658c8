"""The index as text."""

import csv
import json
from pathlib import Path

import pytest

from hpctrain.index.table import FIELDS, Index, Row, parse_rows
from hpctrain.trace.inputs import read_inputs

ROWS = (
    Row.make(id="a", split="train", target="a|b", input="c|d", target_size="1|2"),
    Row.make(id='x,"y" z', split="validation", target='x,"y" z.npy'),
    Row.make(id="s", status="left_out", reason="outside data.steps", target="s.npy"),
)


def test_rows__survive_the_csv_with_hostile_names():
    index = Index(Path("/data"), ROWS, {})
    assert parse_rows(index.csv_text) == (FIELDS, ROWS)
    assert index.csv_text.splitlines()[0].startswith("id,split,status,reason,target,target_size")


def test_rows__files_are_split_at_the_bar():
    assert ROWS[0].targets == ("a", "b")
    assert (ROWS[0].inputs, ROWS[1].inputs) == (("c", "d"), ())


def test_rows__of_thousands_of_layers(tmp_path):
    names, digests = ("|".join(f"{n:0{w}d}" for n in range(3000)) for w in (5, 64))
    rows = (Row.make(id="a", split="train", target=names, target_sha256=digests),)
    index = Index(tmp_path, rows, {})
    assert parse_rows(index.csv_text)[1] == rows
    csv.field_size_limit(131_072)  # as it is where nothing but a trace is made
    sizes = "|".join("1" for _ in range(3000))
    whole = Row.make(
        id="a", target=names, target_sha256=digests, target_size=sizes, target_mtime=sizes
    )
    index = Index(tmp_path, (whole,), {})
    assert len(read_inputs(index.csv_text, index.json_text).files) == 3000


def test_json__counts_and_digest_belong_to_the_csv():
    index = Index(Path("/data"), ROWS, {"rule": "r"})
    page = json.loads(index.json_text)
    assert page["counts"] == {"rows": 3, "train": 1, "validation": 1, "left_out": 1}
    assert page["digest"] == index.digest != Index(Path("/data"), ROWS[:2], {}).digest
    assert (page["root"], page["rule"]) == ("/data", "r")


def test_rows__other_columns_are_refused():
    with pytest.raises(ValueError, match="columns"):
        parse_rows("id,target\na,b\n")
