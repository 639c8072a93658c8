"""Which rows an expression means, and what it must not do."""

from pathlib import Path

import pytest

from hpctrain.errors import DataError
from hpctrain.index.query import counts, row_filter
from hpctrain.index.table import Columns, Index, Row

COLUMNS = Columns(("rgb",), ("z",))
ROWS = [
    Row.make(COLUMNS, id="a", node="W02D", rgb_size="10", timestamp="2023-03-08T20:58:38Z",
             z="9"),
    Row.make(COLUMNS, id="b", node="W02D", status="bad", reason="truncated: rgb: x; nan: th: y"),
    Row.make(COLUMNS, id="c", node="W07B", rgb_size="200", timestamp="2023-07-08T01:00:00Z"),
]  # fmt: skip


def ids(text):
    fits = row_filter(text, COLUMNS)
    return "".join(row.id for row in ROWS if fits(row))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('node == "W02D" and status == "bad"', "b"),
        ("node != 'W02D' or not status == 'ok'", "bc"),
        ("rgb_size > 9", "ac"),
        ("9 < rgb_size <= 1e2", "a"),
        ("z >= -1", "a"),
        ('"truncated" in reason', "b"),
        ("node in ['W07B', 'X'] and reason not in ('a',)", "c"),
        ('day == "2023-03-08"', "a"),
        ('month > "2023-03" and hour < "2023-07-08T02"', "c"),
        ("timestamp == ''", "b"),
    ],
)
def test_filter__means(text, expected):
    assert ids(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "node", "node = 'x'", "__import__('os')", "node.upper() == 'x'", "(lambda: 1)() == 1",
     "nodes == 'x'", "node == f'{1}'", "[i for i in 'a'] == node", "node is 'x'",
     "rgb_size + 1 > 2", "node == ('a', 1)", "1" * 3000, "(" * 500,
     "node == 'x'\0", "not " * 600 + "node == 'x'"],
)  # fmt: skip
def test_filter__refuses_everything_else(text):
    with pytest.raises(DataError, match="--where"):
        ids(text)


def test_counts__two_reasons_count_twice():
    found = counts(Index(Path("/"), ROWS, {}, COLUMNS), ROWS)
    assert found == {
        "split": {"-": 2},
        "status": {"bad": 1, "ok": 2},
        "reason": {"nan": 1, "truncated": 1},
        "node": {"W02D": 2, "W07B": 1},
    }
