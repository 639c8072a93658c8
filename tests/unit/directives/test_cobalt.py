"""#COBALT lines: rules of Cobalt's qsub; compared with a checker that agrees with the real one."""

import contextlib
import importlib.util
import io
import json
import random
import sys

import pytest

from hpctrain.directives.cobalt import read_cobalt
from hpctrain.directives.request import request_of
from hpctrain.directives.walltime import walltime_s
from tests.requires import SHARED_DATA

CHECKER = SHARED_DATA.parent / "tools" / "cobalt_check.py"
HEAD = "#!/bin/bash\n"


def options(script: str) -> list[tuple[str, str | None]]:
    return [(d.option, d.value) for d in read_cobalt(script).read]


def why(script: str) -> list[tuple[int, str]]:
    return [(d.line, d.why_ignored) for d in read_cobalt(script).ignored]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("", "is blank"),
        ("# note", "is a comment"),
        ("ls", "is a command"),
        (" #COBALT -A c", "is indented"),
        ("#COBALT", "has no space and option behind #COBALT"),
        ("#COBALT\t-A c", "has no space and option behind #COBALT"),
    ],
)
def test_read_cobalt__the_first_other_line_ends_them(line, what):
    script = f"{HEAD}#COBALT -n 2\n{line}\n#COBALT -q b"
    assert options(script) == [("--nodecount", "2")]
    assert why(script)[-1] == (4, f"line 3 {what}, which ends the directives")


def test_read_cobalt__nothing_counts_without_a_shebang():
    assert why("#COBALT -n 2\n#COBALT -t 5") == [
        (n, "line 1 does not start with #!") for n in (1, 2)
    ]


def test_read_cobalt__quotes_are_letters_and_stray_words_end_all():
    script = f'{HEAD}#COBALT --jobname "a b" -q c\n#COBALT -A d'
    assert options(script) == [("--jobname", '"a')]
    assert why(script) == [(3, "reading ended at 'b\"' in line 2")]


def test_read_cobalt__envs_are_joined_and_the_last_of_others_wins():
    reading = read_cobalt(f"{HEAD}#COBALT --env A=1 -n 2\n#COBALT --env B=2 -n 3")
    assert reading.value("--env") == "A=1:B=2"
    assert reading.value("--nodecount") == "3"


def test_read_cobalt__a_second_attrs_is_refused():
    reading = read_cobalt(f"{HEAD}#COBALT --attrs a=1\n#COBALT --attrs b=2")
    assert [(f.line, f.kind, f.word) for f in reading.faults] == [(3, "twice", "--attrs")]


@pytest.fixture(scope="module")
def checker():
    if not CHECKER.is_file():
        pytest.skip(f"no {CHECKER}")
    spec = importlib.util.spec_from_file_location("cobalt_check", CHECKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdict(checker, script) -> dict:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        checker.main(["--", str(script)])
    return json.loads(out.getvalue())


PIECES = (
    ["-n 2", "-n 010", "-n 4", "-t 30", "-t 1:30", "-t 01:00:00", "-t 1:00:00:00", "-t 5:70"]
    + ["-q full-node", "--queue=debug", "-A proj", "--project p2", "--jobname a", "--jobn b"]
    + ["--attrs filesystems=home,grand", "--attrs pubnet=true", "--env A=1", "--env B=2:C=3"]
    + ["--env=D=4", "-h", "--held", "--dependencies 1:2", "-M a@b", "# note", "word", '"q r"']
    + ["--frobnicate", "-Z", "-n", "-t", "--mode script", "-o x.out", "-e x.err", "-O pre"]
)
BREAKS = ["", "# comment", "#COBALT", "#COBALT\t-q x", " #COBALT -q x", "echo a", "#COBALT "]


def make_script(rng: random.Random) -> str:
    lines = ["#!/bin/bash" if rng.random() < 0.95 else "# none"]
    lines += ["#COBALT -n 3 -t 10"] if rng.random() < 0.7 else []
    for _ in range(rng.randint(1, 6)):
        if rng.random() < 0.12:
            lines.append(rng.choice(BREAKS))
        chosen = rng.sample(PIECES, rng.randint(1, 3))
        lines.append("#COBALT " + rng.choice([" ", "  "]).join(chosen))
    return "\n".join([*lines, "", "sleep 1", ""])


def ours(text: str) -> dict | None:
    """What our reader makes of a script; None: Cobalt refuses it."""
    reading = read_cobalt(text)
    hard = [f for f in reading.faults if f.kind != "stray"]
    if hard or not {"--nodecount", "--time"} <= set(reading.in_force):
        return None
    try:
        [walltime_s(d.value, "cobalt") for d in reading.read if d.option == "--time"]
    except ValueError:
        return None
    request = request_of(reading)
    return {
        "nodes": request.nodes,
        "walltime": request.walltime_s // 60,
        "queue": request.queue or "default",
        "project": request.account,
        "jobname": request.name,
        "envs": dict(request.env) or None,
        "user_hold": request.is_held or None,
        "attrs": "--attrs" in reading.in_force or None,
        "all_dependencies": ":".join(j for d in request.dependencies for j in d.jobs) or None,
    }


def test_read_cobalt__agrees_with_the_checker(checker, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(7)
    script = tmp_path / "job.sh"
    script.touch(mode=0o755)
    accepted = 0
    for _ in range(600):
        text = make_script(rng)
        script.write_text(text)
        theirs, mine = verdict(checker, script), ours(text)
        assert (mine is not None) == theirs["ok"], f"{theirs}\n{text}"
        if mine is not None:
            accepted += 1
            job = theirs["job"]
            job["attrs"] = "attrs" in job or None
            assert mine == {key: job.get(key) for key in mine}, f"{theirs}\n{text}"
    assert 150 < accepted < 450


def test_checker__is_loaded_under_its_own_name(checker):
    assert "cobalt_check" not in sys.modules
