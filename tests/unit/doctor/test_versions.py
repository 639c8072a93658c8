"""What the job's Python has."""

from __future__ import annotations

from hpctrain.doctor.inside import last_line, record_digest
from hpctrain.doctor.versions import packages_digest, versions_topic

RECORD = """numpy/__init__.py,sha256=abc,120
numpy/core.so,sha256=def,9000
"""
NOISE = """numpy/__pycache__/__init__.cpython-311.pyc,,
../../../bin/f2py,sha256=here,200
numpy-2.1.dist-info/INSTALLER,sha256=pip,4
numpy-2.1.dist-info/RECORD,,
numpy-2.1.dist-info/direct_url.json,sha256=there,90
"""


def package(version: str, digest: str = "d") -> dict[str, str]:
    return {"version": version, "digest": digest}


ALL = {name: package("1.0") for name in ("torch", "numpy", "horovod", "mpi4py")}


def said(packages, comm: str = "auto", torch=None) -> dict[str, str]:
    found = {"python": "3.11.2", "executable": "/opt/python", "packages": packages, "torch": torch}
    lines = versions_topic(found, comm).lines
    return {line.name: f"{line.severity} {line.text}" for line in lines}


def test_record_digest__same_files_same_digest_on_every_machine() -> None:
    assert record_digest(RECORD + NOISE) == record_digest(RECORD)
    assert record_digest(RECORD) == record_digest("".join(reversed(RECORD.splitlines(True))))
    assert record_digest(RECORD.replace("def", "xyz")) != record_digest(RECORD)
    assert record_digest(None) is None


def test_packages_digest__of_all_versions_and_files() -> None:
    other = {**ALL, "numpy": package("1.0", "other")}
    assert packages_digest(ALL) == packages_digest(dict(reversed(ALL.items())))
    assert packages_digest(other) != packages_digest(ALL)


def test_versions__all_there() -> None:
    found = said(ALL, torch={"built_for": "12.8", "gpus": []})
    assert found["torch"] == "ok 1.0, built for 12.8, digest d"
    assert {text.split()[0] for text in found.values()} == {"ok"}


def test_versions__missing() -> None:
    found = said({"numpy": package("2.1")})
    assert found["torch"] == "error is not installed"
    assert found["horovod"].startswith("note is not installed")
    assert said({}, "horovod")["horovod"].startswith("error is not installed, and launch.comm is")
    assert said({}, "mpi")["mpi4py"].startswith("error")


def test_versions__torch_that_does_not_load() -> None:
    found = said(ALL, torch={"error": "ImportError: libcudart.so.12"})
    assert found["torch"] == "error 1.0 cannot be imported: ImportError: libcudart.so.12"


def test_last_line__tells_most() -> None:
    assert last_line("Traceback\n  x\nImportError: no\n\n", 1) == "ImportError: no"
    assert last_line("", -11) == "ended by signal 11"
    assert last_line("", 3) == "ended with code 3"
