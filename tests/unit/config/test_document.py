"""YAML with positions."""

import pytest

from hpctrain.config.document import parse, read_document
from hpctrain.errors import ConfigError


def test_parse__values_and_lines():
    document = parse("a: 1\nb:\n  c: [x, 2.5]\n  d: 1e-4\n", "f.yaml")
    assert document.value == {"a": 1, "b": {"c": ["x", 2.5], "d": 1e-4}}
    assert [document.line(key) for key in (("a",), ("b",), ("b", "c"), ("b", "d"))] == [1, 2, 3, 4]


def test_parse__line_of_an_absent_key_is_that_of_its_block():
    assert parse("a: 1\nb:\n  c: 1\n", "f").line(("b", "x")) == 2


def test_parse__dates_stay_texts_and_keys_are_texts():
    assert parse("on: 2024-01-02\n1: x\n", "f").value == {"on": "2024-01-02", "1": "x"}


def test_parse__sexagesimal_stays_the_number_that_other_tools_read():
    assert parse("walltime: 2:00:00\n", "f").value == {"walltime": 7200}


def test_parse__duplicate_key_names_both_lines():
    document = parse("a: 1\nb: 2\na: 3\n", "f")
    assert document.problems == {("a",): (3, "is given twice, first in line 1; keep one")}


@pytest.mark.parametrize(
    "text", ["a: .nan", "a: .inf", "a: !!python/object:os.x {}", "a: !!binary eA=="]
)
def test_parse__values_that_are_not_plain(text):
    document = parse(text, "f")
    assert document.problems or document.value == {"a": {}}


def test_parse__anchors_work_and_loops_are_found():
    assert parse("a: &x [1]\nb: *x\n", "f").value == {"a": [1], "b": [1]}
    assert parse("a: &x {b: *x}\n", "f").problems == {("a", "b"): (1, "refers to itself")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: 1\n", "f.yaml:2: found a tab; indent with spaces"),
        ("a: 1\n b: 2\n", "f.yaml:2: is not YAML"),
        ("a: [1\nb: 2\n", "f.yaml:2: is not YAML"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: is not YAML"),
        ("a: 'x\n", "f.yaml:"),
    ],
)
def test_parse__syntax_error_names_the_line(text, message):
    with pytest.raises(ConfigError) as info:
        parse(text, "f.yaml")
    assert str(info.value).startswith(message)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "content", [b"", b"# only a comment\n", b"- 1\n", b"text\n", b"\xff\xfe\x00"]
)
def test_read_document__what_is_no_mapping(tmp_path, content):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"x\.yaml"):
        read_document(path)


def test_read_document__missing_file(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_document(tmp_path / "x.yaml")
