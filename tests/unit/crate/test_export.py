"""`hpctrain export --ro-crate`."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.started import LAUNCH, amend, make_started, product, run

ORCID = "0000-0002-1825-0097"
"""The one in ORCID's own examples."""


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    run_dir = make_started(tmp_path / "a b 'ü'", monkeypatch)
    product(run_dir)
    (run_dir / "logs" / "metrics.jsonl").write_text("{}\n")
    (run_dir / "logs" / ".lock").touch()
    for name in ("state_1.pt", "state_2.pt"):
        (run_dir / "checkpoints" / name).write_bytes(name.encode())
    (run_dir / "checkpoints" / "latest").symlink_to("state_2.pt")
    (run_dir / "notes.txt").write_text("mine")
    (run_dir / "eval" / "passwd").symlink_to("/etc/passwd")
    return run_dir


def graph(path: Path) -> dict[str, dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        page = json.loads(archive.read("ro-crate-metadata.json"))
    return {entity["@id"]: entity for entity in page["@graph"]}


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name for name in archive.namelist() if not name.startswith("code/hpctrain/")}


def test_export__holds_the_run_and_nothing_beside_it(run_dir: Path) -> None:
    assert run("export", "small", "--ro-crate") == 0
    found = names(Path("small.crate.zip"))
    rendered = {"run.sh", "rank.sh", "config.yaml", "site.yaml", "index.csv", "index.json"}
    assert rendered | {"manifest.json", "state.json", "code/SOURCE.json", "README.md"} <= found
    assert {"eval/summary.json", "logs/metrics.jsonl", "checkpoints/state_2.pt"} <= found
    assert not {"notes.txt", "logs/.lock", "eval/passwd", "checkpoints/state_1.pt"} & found
    assert not any(name.startswith("data/") for name in found)


@pytest.mark.parametrize(("which", "count"), [("all", 2), ("last", 1), ("none", 0)])
def test_export__checkpoints(run_dir: Path, which: str, count: int) -> None:
    assert run("export", "small", "--ro-crate", "--with-checkpoints", which) == 0
    found = [n for n in names(Path("small.crate.zip")) if n.endswith(".pt")]
    assert len(found) == count


def test_export__same_run_same_bytes(run_dir: Path) -> None:
    digests = set()
    for name in ("one.zip", "two.zip"):
        assert run("export", "small", "--ro-crate", "--with-data", "--out", name) == 0
        digests.add(hashlib.sha256(Path(name).read_bytes()).hexdigest())
        for path in run_dir.rglob("*"):
            if path.is_file():
                os.utime(path)
    assert len(digests) == 1


def test_export__folder_and_zip_hold_the_same(run_dir: Path) -> None:
    assert run("export", "small", "--ro-crate", "--with-data", "--out", "x.zip") == 0
    assert run("export", "small", "--ro-crate", "--with-data", "--out", "x") == 0
    with zipfile.ZipFile("x.zip") as archive:
        for info in archive.infolist():
            if not info.is_dir():
                path = Path("x", info.filename)
                assert archive.read(info) == path.read_bytes()
                assert bool(info.external_attr >> 16 & 0o100) == os.access(path, os.X_OK)
        assert {n for n in archive.namelist() if n[-1] != "/"} == {
            p.relative_to("x").as_posix() for p in Path("x").rglob("*") if p.is_file()
        }


def test_export__digests_are_those_of_the_files(run_dir: Path) -> None:
    assert run("export", "small", "--ro-crate", "--with-data", "--out", "x") == 0
    page = json.loads(Path("x/ro-crate-metadata.json").read_text())
    files = [e for e in page["@graph"] if "sha256" in e and e["@id"] != "ro-crate-metadata.json"]
    assert len(files) > 12
    for entity in files:
        content = Path("x", entity["@id"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entity["sha256"], entity["@id"]
        assert str(len(content)) == entity["contentSize"]


def test_export__actions_say_what_ran(run_dir: Path) -> None:
    image = {"image": "/x y.sif", "sha256": "ab" * 32, "labels": {"hpctrain.mpi": "openmpi:5"}}
    second = {**LAUNCH, "launch_id": "two <&>", "time": 7.0, "end": 9.0, "exit_code": 6}
    amend(run_dir, launches=[{**LAUNCH, "exit_code": 75}, {**second, "container": image}])
    state = {"status": "failed", "message": "the disk is full", "exit_code": 6}
    (run_dir / "state.json").write_text(json.dumps(state))
    assert run("export", "small", "--ro-crate", "--author", "Ada L.", "--orcid", ORCID) == 0
    found = graph(Path("small.crate.zip"))
    one, two = found["#launch-1-one"], found["#launch-2-two%20%3C%26%3E"]
    assert (one["startTime"], one["actionStatus"]) == (
        "1970-01-01T00:00:01+00:00",
        "http://schema.org/CompletedActionStatus",
    )
    assert (two["endTime"], two["error"]) == ("1970-01-01T00:00:09+00:00", "the disk is full")
    assert two["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert found[two["containerImage"]["@id"]]["sha256"] == "ab" * 32
    assert found[two["agent"]["@id"]] == {
        "@id": f"https://orcid.org/{ORCID}",
        "@type": "Person",
        "name": "Ada L.",
    }
    assert one["result"] == {"@id": "eval/summary.json"}, "its stamp names the first launch"
    assert found["./"]["mainEntity"] == {"@id": "run.sh"} == one["instrument"]


def test_export__names_nobody_unless_asked(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-in-particular")
    assert run("export", "small", "--ro-crate") == 0
    content = json.dumps(graph(Path("small.crate.zip")))
    assert "somebody-in-particular" not in content
    assert "Person" not in content
    assert "not specified" in graph(Path("small.crate.zip"))["./"]["license"]


def test_export__licence_that_is_an_address_is_an_entity(run_dir: Path) -> None:
    url = "https://creativecommons.org/licenses/by/4.0/"
    assert run("export", "small", "--ro-crate", "--license", url) == 0
    found = graph(Path("small.crate.zip"))
    assert found["./"]["license"] == {"@id": url}
    assert found[url]["@type"] == "CreativeWork"


def test_export__input_files_by_reference(run_dir: Path) -> None:
    (run_dir.parents[1] / "data" / "DATA_CARD.md").write_text("# Dice\n\n- licence: CC0-1.0\n")
    assert run("export", "small", "--ro-crate") == 0
    found = graph(Path("small.crate.zip"))
    root = next(e for e in found.values() if e["@id"].startswith("file://") and "hasPart" in e)
    assert root["license"] == "CC0-1.0"
    assert "%27%C3%BC%27/data/" in root["@id"]
    file = found[root["hasPart"][1]["@id"]]
    content = (run_dir.parents[1] / "data" / "step1.npy").read_bytes()
    assert file["sha256"] == hashlib.sha256(content).hexdigest()


def test_export__changed_input_does_not_go_in(run_dir: Path, capsys) -> None:
    (run_dir.parents[1] / "data" / "step1.npy").write_bytes(b"other")
    assert run("export", "small", "--ro-crate", "--with-data") == 2
    assert "step1.npy: is not the file that was indexed" in capsys.readouterr().err
    assert not list(Path().glob("*crate*"))


def test_export__never_over_what_is_there(run_dir: Path, capsys) -> None:
    Path("small.crate.zip").write_text("precious")
    assert run("export", "small", "--ro-crate") == 3
    assert "small.crate.zip: exists; move it away" in capsys.readouterr().err
    assert Path("small.crate.zip").read_text() == "precious"


def test_export__file_that_changes_meanwhile(run_dir, monkeypatch, capsys) -> None:
    from hpctrain.crate import pack

    def altered(path, size):
        yield path.read_bytes() + (b"x" if path.name == "metrics.jsonl" else b"")

    monkeypatch.setattr(pack, "_pieces", altered)
    assert run("export", "small", "--ro-crate") == 3
    assert "metrics.jsonl: changed while it was copied" in capsys.readouterr().err
    assert not [p for p in Path().iterdir() if "crate" in p.name]


def test_export__of_a_job_that_has_not_started(run_dir: Path, capsys) -> None:
    amend(run_dir, launches=[])
    assert run("export", "small", "--ro-crate") == 0
    assert "the run has not started" in capsys.readouterr().err
    root = graph(Path("small.crate.zip"))["./"]
    assert root["conformsTo"] == {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"}
    assert "mentions" not in root


def test_export__without_rocrate(run_dir, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "rocrate.rocrate", None)
    assert run("export", "small", "--ro-crate") == 2
    assert "pip install 'hpctrain[provenance]'" in capsys.readouterr().err
    assert run("export", "small") == 2
    assert "there is --ro-crate" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "code/../../secret.txt"])
def test_export__names_that_lead_out_of_the_run(run_dir: Path, capsys, name) -> None:
    (run_dir.parent / "secret.txt").write_text("secret")
    files = json.loads((run_dir / "manifest.json").read_text())["files"]
    amend(run_dir, files={**files, name: "00" * 32})
    assert run("export", "small", "--ro-crate") == 2
    assert f"names {name!r}, which is not in the run directory" in capsys.readouterr().err
    assert not list(Path().glob("*crate*"))


@pytest.mark.parametrize("name", ["report.html", "rank.sh", "submitted.log", "code/SOURCE.json"])
def test_export__links_that_lead_out_of_the_run(run_dir: Path, capsys, name) -> None:
    secret = run_dir.parent / "secret.txt"
    secret.write_text("secret")
    (run_dir / name).unlink(missing_ok=True)
    (run_dir / name).symlink_to(secret)
    assert run("export", "small", "--ro-crate") == 2
    assert f"{name}: leads out of the run directory to {secret}" in capsys.readouterr().err


def test_export__last_checkpoint_where_latest_is_no_link(run_dir: Path, capsys) -> None:
    folder = run_dir / "checkpoints"
    (folder / "latest").unlink()
    (folder / "state_9.pt").symlink_to("/etc/hostname")
    os.utime(folder / "state_1.pt", ns=(1, 1))
    assert run("export", "small", "--ro-crate", "--out", "a.zip") == 0
    assert [n for n in names(Path("a.zip")) if n.endswith(".pt")] == ["checkpoints/state_2.pt"]
    for path in folder.iterdir():
        path.unlink()
    capsys.readouterr()
    assert run("export", "small", "--ro-crate", "--out", "b.zip") == 0
    assert "note: the run has no checkpoint" in capsys.readouterr().err


def test_export__log_that_grows_meanwhile(run_dir: Path, monkeypatch) -> None:
    import hpctrain.crate  # noqa: F401 - its function export hides the module

    def grow(facts, page):
        with (run_dir / "logs" / "metrics.jsonl").open("a") as file:
            file.write("more\n")
        return b"{}"

    monkeypatch.setattr(sys.modules["hpctrain.crate.export"], "describe", grow)
    assert run("export", "small", "--ro-crate", "--out", "a.zip") == 0
    with zipfile.ZipFile("a.zip") as archive:
        assert archive.read("logs/metrics.jsonl") == b"{}\n"


def test_export__index_that_is_no_text(run_dir: Path, capsys) -> None:
    (run_dir / "index.csv").write_bytes(b"\xff\xfe")
    assert run("export", "small", "--ro-crate") == 2
    assert "its index cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("orcid", ["0000-0002-1825-0098", "0000-1", "0000000218250097", "a\nb"])
def test_export__orcid_with_a_mistake(run_dir: Path, capsys, orcid) -> None:
    assert run("export", "small", "--ro-crate", "--author", "A", "--orcid", orcid) == 2
    assert "is no ORCID" in capsys.readouterr().err
