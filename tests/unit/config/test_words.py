"""Texts that end up in scripts."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from hpctrain.config.words import Line, Name, Value, Variable, Word


def accepts(kind: Any, value: str) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", ["mantle", "mantle-2", "a.b_c", "2024", "x" * 64])
def test_name__accepted(name):
    assert accepts(Name, name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "a'b",
        'a"b',
        "$(id)",
        "a;b",
        "a\nb",
        "mantle\n",
        "../x",
        "a/b",
        ".x",
        "-x",
        "ünï",
        "x" * 65,
    ],
)
def test_name__refused(name):
    assert not accepts(Name, name)


@pytest.mark.parametrize(
    "word", ["a b", "a'b", "a$b", "a;b", "a\nb", "a#b", "", "-q", "a=b", "a:b", "a,b"]
)
def test_word__what_directives_cannot_hold_is_refused(word):
    assert not accepts(Word, word)


def test_word__accounts_and_queues():
    assert all(accepts(Word, word) for word in ("m1234_g", "debug-scaling", "R1@srv.x", "a+b"))


def test_line__everything_printable_but_no_control_character():
    assert accepts(Line, "/a b/$HOME;'\"`id` ünï")
    assert not any(accepts(Line, text) for text in ("a\nb", "a\rb", "a\0b", "a\x1bb", ""))


def test_value__may_be_empty():
    assert accepts(Value, "")


@pytest.mark.parametrize("name", ["A B", "1A", "A=B", "A$", "", "A\n"])
def test_variable__refused(name):
    assert not accepts(Variable, name)
