"""The interpreter of the job."""

import json
import sys

import pytest

from hpctrain.preflight.python import python_findings
from tests.jobs import mantle


def found(python: str, *settings: str):
    return [str(f) for f in python_findings(mantle("local", *settings).job, python)]


@pytest.fixture
def torch(tmp_path):
    """A torch package that tells what it was built for."""

    def make(cuda: str, hip: str = "None") -> str:
        text = f"__version__ = '2.4'\ncuda: Optional[str] = {cuda}\nhip: Optional[str] = {hip}\n"
        (tmp_path / "version.py").write_text(text)
        return str(tmp_path / "__init__.py")

    return make


def answer(**changed: object) -> str:
    page = {"version": [3, 11], "torch": "/x/torch/__init__.py", "numpy": "/x", "horovod": None}
    return json.dumps({**page, **changed})


def test_python__the_one_that_runs_this_test():
    assert found(sys.executable) == []


@pytest.mark.parametrize(
    ("changed", "setting", "words"),
    [
        ({"torch": None, "numpy": None}, "launch.comm=auto", "has no torch and no numpy; install"),
        ({"version": [3, 8]}, "launch.comm=auto", "is Python 3.8; allowed: 3.10 or newer"),
        ({}, "launch.comm=horovod", "error: launch.comm: found 'horovod', which python3.x does"),
    ],
)
def test_python__what_it_lacks(programs, changed, setting, words):
    programs.add("python3.x", out=answer(**changed))
    (line,) = found("python3.x", setting)
    assert words in line


@pytest.mark.parametrize(
    ("cuda", "hip", "fits"),
    [("None", "None", False), ("'13.0'", "None", True), ("None", "'6'", True)],
)
def test_python__a_torch_for_cpus_in_a_job_with_gpus(programs, torch, cuda, hip, fits):
    programs.add("python3.x", out=answer(torch=torch(cuda, hip)))
    lines = found("python3.x", "resources.gpus_per_rank=1")
    assert (lines == []) == fits
    assert fits or "is built for CPUs only, and the job asks for GPUs" in lines[0]
    assert found("python3.x") == []


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ({"out": "hello"}, "warning: launch.python: python3.x: cannot be asked what it has"),
        ({"err": "Illegal instruction", "code": 132}, "ended with 132: Illegal instruction"),
        (None, "note: launch.python: python3.x is not in PATH here"),
    ],
)
def test_python__one_that_does_not_answer(programs, program, words):
    if program is not None:
        programs.add("python3.x", **program)
    (line,) = found("python3.x")
    assert words in line


def test_python__a_path_that_is_no_program(tmp_path):
    (line,) = found(str(tmp_path / "python"))
    assert line.endswith("python: no such program; give an interpreter that nodes can reach")


def test_python__of_an_image_is_not_looked_at():
    assert found("/nosuch", "container.image=x.sif") == []
