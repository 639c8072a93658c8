"""The examples on the pages of docs/reference/lint/: bad ones find their code alone."""

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from hpctrain.config.load import read_site
from hpctrain.lint import RULES, lint_text
from tests.jobs import REPO

PAGES = REPO / "docs" / "reference" / "lint"
EXAMPLE = re.compile(r"^## (Bad|Good)\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODES = [rule.code for rule in RULES]


def options(code: str, kind: str) -> dict:
    """What a page says its example is checked with."""
    strict = SimpleNamespace(
        name="strict",
        scheduler="slurm",
        filesystems=[],
        directives=SimpleNamespace(required=[], forbidden=["--mem"]),
    )
    given: dict = {"is_executable": (code, kind) != ("HT013", "Bad")}
    given |= {"has_folder": lambda path: path != "logs"}
    given |= {"HT090": {"site": read_site("polaris")[0]}, "HT091": {"site": strict}}.get(code, {})
    return given | ({"scheduler": "pbs"} if code == "HT092" else {})


def examples(code: str) -> dict[str, str]:
    found = dict(EXAMPLE.findall((PAGES / f"{code}.md").read_text()))
    if code == "HT012":
        found["Bad"] = found["Bad"].replace("\n", "\r\n")
    return found


@pytest.mark.parametrize("code", CODES)
def test_page__bad_example_finds_its_code_alone(code):
    found = lint_text(examples(code)["Bad"], "bad", **options(code, "Bad"))
    assert {f.code for f in found} == {code}, [str(f) for f in found]


@pytest.mark.parametrize("code", CODES)
def test_page__good_example_finds_nothing(code):
    found = lint_text(examples(code)["Good"], "good", **options(code, "Good"))
    assert [str(f) for f in found] == []


@pytest.mark.parametrize("code", CODES)
def test_page__says_why_and_where_it_is_known_from(code):
    text = (PAGES / f"{code}.md").read_text()
    why = text.split("## Bad")[0].split("\n", 4)[4]
    source = text.split("## Source\n")[1]
    assert len(why.split()) >= 8
    assert source.strip()


def test_pages__heads_and_index_are_those_of_the_table():
    command = [sys.executable, str(REPO / "docs" / "lint.py"), "--check"]
    environment = {"PYTHONPATH": str(REPO), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nif this is meant: docs/lint.py"


def test_rules__codes_are_unique_and_in_order():
    assert sorted(set(CODES)) == CODES
    assert all(re.fullmatch(r"HT\d{3}", code) for code in CODES)


def test_rules__functions_name_their_code():
    assert [rule.check.__doc__ for rule in RULES] == [f"{code}." for code in CODES]
