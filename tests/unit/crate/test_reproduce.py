"""`hpctrain reproduce`: the same job elsewhere, what differs, and crates that mean harm."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpctrain.crate import unpack
from hpctrain.crate.unpack import Crate
from tests.started import LAUNCH, amend, make_started, product, run


@pytest.fixture
def crate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A crate with its data, in a folder without anything else."""
    run_dir = make_started(tmp_path / "there", monkeypatch)
    import platform
    from importlib.metadata import version

    packages = {name: version(name) for name in ("numpy", "torch")}
    launch = {**LAUNCH, "device": "cpu", "python": platform.python_version(), "packages": packages}
    amend(run_dir, launches=[launch])
    folder = tmp_path / "here $HOME 'ü'"
    folder.mkdir()
    assert run("export", run_dir, "--ro-crate", "--with-data", "--out", folder / "x.zip") == 0
    monkeypatch.chdir(folder)
    return folder / "x.zip"


def compared(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> dict[str, Any]:
    """What `--json` says, by what was compared; `code` is the exit code."""
    capsys.readouterr()
    code = run("reproduce", *argv, "--json")
    page = json.loads(capsys.readouterr().out)
    assert page["is_same"] == (code == 0)
    return {"code": code, **{entry["what"]: entry for entry in page["compared"]}}


def repack(crate: Path, **changes: bytes | None) -> Path:
    """The crate with other contents (`__` for `/`, `_dot_` for `.`), as `altered.zip`."""
    named = {k.replace("__", "/").replace("_dot_", "."): v for k, v in changes.items()}
    target = crate.with_name("altered.zip")
    with zipfile.ZipFile(crate) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            content = named.pop(info.filename, old.read(info))
            if content is not None:
                new.writestr(info, content)
        for name, content in named.items():
            new.writestr(name, content or b"")
    return target


def test_reproduce__same_job_with_the_data_of_the_crate(crate, tmp_path, capsys) -> None:
    found = compared(capsys, crate)
    there, here = tmp_path / "there/jobs/small", Path("jobs/small")
    same = ("crate", "configuration", "rendering", "hpctrain", "python", "torch", "inputs")
    assert {what: found[what]["is_same"] for what in same} == dict.fromkeys(same, True)
    assert (here / "index.csv").read_bytes() == (there / "index.csv").read_bytes()
    page = yaml.safe_load((here / "config.yaml").read_text())
    assert page["data"]["root"] == str(Path("jobs/small-data").resolve())
    page["data"]["root"] = str(tmp_path / "there/data")
    assert page == yaml.safe_load((there / "config.yaml").read_text())
    for name in ("rank.sh", "site.yaml", "code/SOURCE.json", "code/hpctrain/errors.py"):
        assert (here / name).read_bytes() == (there / name).read_bytes()
    inputs = json.loads((here / "manifest.json").read_text())["inputs"]
    assert inputs["run_dir"] == str(here.resolve())
    capsys.readouterr()
    assert run("verify", "small", "--digests") == 0, capsys.readouterr().out


def test_reproduce__readable(crate, capsys) -> None:
    capsys.readouterr()
    run("reproduce", crate, "--as", "again")
    out, err = capsys.readouterr()
    assert "again-data: 3 input files unpacked" in err
    lines = out.splitlines()
    assert lines[0] == "same     crate          as it was exported"
    assert lines[-1] == "next: jobs/again/run.sh"
    assert lines[-2].startswith("jobs/again: written; ")


def test_reproduce__again_changes_nothing(crate, capsys) -> None:
    run("reproduce", crate)
    before = {p: p.stat().st_mtime_ns for p in Path("jobs").rglob("*")}
    capsys.readouterr()
    run("reproduce", crate)
    out, err = capsys.readouterr()
    assert "jobs/small: unchanged; " in out
    assert "is there already" in err
    assert {p: p.stat().st_mtime_ns for p in Path("jobs").rglob("*")} == before


def test_reproduce__from_a_folder(crate, capsys) -> None:
    with zipfile.ZipFile(crate) as archive:
        archive.extractall("x")
    assert compared(capsys, "x")["inputs"]["is_same"]


def test_reproduce__data_elsewhere_changed_and_missing(crate, tmp_path, capsys) -> None:
    data = tmp_path / "other"
    shutil.copytree(tmp_path / "there/data", data)
    assert compared(capsys, crate, "--data-root", data)["inputs"]["is_same"]
    page = yaml.safe_load(Path("jobs/small/config.yaml").read_text())
    assert page["data"]["root"] == str(data)
    (data / "step1.npy").write_bytes(b"other")
    (data / "step2.npy").unlink()
    found = compared(capsys, crate, "--data-root", data)
    assert found["code"] == 2
    assert found["inputs"]["now"] == f"1 missing and 1 changed in {data}"
    assert run("reproduce", crate, "--data-root", "nowhere") == 2
    assert "--data-root: nowhere: no such folder" in capsys.readouterr().err


def test_reproduce__files_with_awkward_names(tmp_path, monkeypatch, capsys) -> None:
    run_dir = make_started(tmp_path / "there", monkeypatch, name="step {} %20#?&<\"'ü.npy")
    for name, option in (("inside", "--with-data"), ("outside", "--licence=none")):
        out = tmp_path / f"{name}.zip"
        assert run("export", run_dir, "--ro-crate", option, "--out", out) == 0
        found = compared(capsys, out, "--as", name, "--out", tmp_path / "jobs")
        assert found["crate"]["is_same"]
        assert found["inputs"]["is_same"]


def test_reproduce__without_data_that_is_here(crate, tmp_path, capsys) -> None:
    bare = repack(crate, **{f"data__step{i}_dot_npy": None for i in range(3)})
    assert compared(capsys, bare, "--as", "a")["inputs"]["is_same"], "they lie where they were"
    (tmp_path / "there/data").rename(tmp_path / "gone")
    found = compared(capsys, bare, "--as", "b")
    assert (found["code"], found["inputs"]["is_same"]) == (2, False)
    assert "--data-root" in found["inputs"]["details"][0]


def test_reproduce__other_versions(crate, capsys) -> None:
    with zipfile.ZipFile(crate) as archive:
        page = json.loads(archive.read("manifest.json"))
    page["launches"][-1].update(python="3.1.4", device="NVIDIA H100")
    page["launches"][-1]["packages"]["torch"] = "1.0"
    page["files"]["rank.sh"] = "00" * 32  # as if another version had rendered it
    found = compared(capsys, repack(crate, manifest_dot_json=json.dumps(page).encode()))
    assert found["code"] == 2
    assert (found["python"]["was"], found["python"]["is_same"]) == ("3.1.4", False)
    assert (found["torch"]["was"], found["device"]["is_same"]) == ("1.0", False)
    assert found["numpy"]["is_same"]
    assert (found["rendering"]["is_same"], found["rendering"]["now"]) == (False, "another rank.sh")
    assert found["crate"]["details"] == ["manifest.json"]


def test_reproduce__another_site(crate, tmp_path, capsys) -> None:
    out = tmp_path / "plain"  # Slurm takes no dollar sign in a path
    words = ("--site", "generic-slurm", "--set", "resources.account=A1", "--out", out)
    found = compared(capsys, crate, *words)
    assert "#SBATCH --account=A1" in (out / "small/run.slurm").read_text()
    assert not found["configuration"]["is_same"]
    assert any(line.startswith("site: was 'local'") for line in found["configuration"]["details"])
    assert found["rendering"]["is_same"], "for the crate's own site it gives the crate's own files"


def test_reproduce__code_of_the_crate_runs_not_that_of_here(crate, capsys) -> None:
    changed = repack(crate, code__hpctrain__errors_dot_py=b"# other\n")
    found = compared(capsys, changed)
    assert found["code"] == 2
    assert Path("jobs/small/code/hpctrain/errors.py").read_bytes() == b"# other\n"
    assert found["hpctrain"]["details"][1:] == ["hpctrain/errors.py"]
    assert found["crate"]["details"] == ["code/hpctrain/errors.py"]


def test_reproduce__altered_script_is_told_and_not_taken(crate, capsys) -> None:
    found = compared(capsys, repack(crate, run_dot_sh=b"#!/bin/sh\nrm -rf /\n"))
    assert found["crate"]["details"] == ["run.sh"]
    assert "rm -rf /\n" not in Path("jobs/small/run.sh").read_text()


@pytest.mark.parametrize(
    "name",
    ["../evil", "/tmp/evil", "code/user/../../../evil", "data/../evil", "a\\..\\evil", "./evil"],
)
def test_reproduce__names_that_leave_the_folder(crate, tmp_path, capsys, name) -> None:
    with zipfile.ZipFile(crate, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), "x")
    assert run("reproduce", crate) == 2
    assert "would leave the folder" in capsys.readouterr().err
    assert not Path("jobs").exists()
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO])
def test_reproduce__links_and_devices(crate, capsys, kind) -> None:
    info = zipfile.ZipInfo("data/step9.npy")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    with zipfile.ZipFile(crate, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    assert run("reproduce", crate) == 2
    assert "is a link or a device" in capsys.readouterr().err


def test_reproduce__link_in_a_folder(crate, capsys) -> None:
    with zipfile.ZipFile(crate) as archive:
        archive.extractall("x")
    Path("x/code/user").symlink_to("/etc")
    assert run("reproduce", "x") == 2
    assert "is a link or a device" in capsys.readouterr().err


def test_reproduce__bad_crates_say_what_is_wrong(crate, tmp_path, capsys) -> None:
    content = crate.read_bytes()
    crate.with_name("torn.zip").write_bytes(content[:-100])
    crate.with_name("text.zip").write_text("hello")
    with zipfile.ZipFile(crate.with_name("empty.zip"), "w"):
        pass
    cases = {
        "torn.zip": "is no zip file that can be read",
        "text.zip": "is no zip file that can be read",
        "empty.zip": "has no ro-crate-metadata.json; give a crate",
        "nothing.zip": "no such file or folder",
    }
    for name, message in cases.items():
        assert run("reproduce", name) == 2
        assert message in capsys.readouterr().err
    for changes, message in (
        ({"config_dot_yaml": b"name: [\n"}, "config.yaml"),
        ({"config_dot_yaml": b"name: '../../evil'\n"}, "config.yaml"),
        ({"manifest_dot_json": b"["}, "manifest.json is not JSON"),
        ({"index_dot_csv": None}, "has no index.csv; export the run again"),
    ):
        assert run("reproduce", repack(crate, **changes)) == 2
        assert message in capsys.readouterr().err
    assert not Path("jobs/small").exists()


def test_reproduce__starts_no_program_that_the_crate_names(crate, tmp_path, capsys) -> None:
    program, proof = tmp_path / "evil", tmp_path / "was-run"
    program.write_text(f"#!/bin/sh\n: > '{proof}'\necho '{{\"python\": \"3.0\"}}'\n")
    program.chmod(0o755)
    with zipfile.ZipFile(crate) as archive:
        page = yaml.safe_load(archive.read("config.yaml"))
    page.setdefault("launch", {})["python"] = str(program)
    named = repack(crate, config_dot_yaml=yaml.safe_dump(page).encode())
    found = compared(capsys, named)
    assert not proof.exists()
    assert found["python"]["now"] == f"{program} is not asked: named by the crate"
    assert found["code"] == 2
    found = compared(capsys, named, "--as", "own", "--set", f"launch.python={program}")
    assert (proof.exists(), found["python"]["now"]) == (True, "3.0"), "asked: its user named it"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("code/hpctrain/sitecustomize.py", b"evil()\n"),
        ("code/user/json.py", b"evil()\n"),
        ("code/other.txt", b"x"),
        ("notes.txt", b"x"),
        ("eval/summary.json", None),
        ("logs/metrics.jsonl", None),
    ],
)
def test_reproduce__files_added_and_dropped_are_told(tmp_path, monkeypatch, name, content) -> None:
    run_dir = make_started(tmp_path / "there", monkeypatch)
    product(run_dir)
    (run_dir / "logs/metrics.jsonl").write_text("{}\n")
    out = tmp_path / "x.zip"
    assert run("export", run_dir, "--ro-crate", "--out", out) == 0
    opened = Crate(out)
    assert opened.altered() == []
    opened.close()
    opened = Crate(repack(out, **{name.replace("/", "__").replace(".", "_dot_"): content}))
    assert opened.altered() == [name]
    opened.close()


def test_reproduce__code_is_compared_with_its_own_digest(crate, capsys) -> None:
    assert compared(capsys, crate)["code"] in (0, 2)
    with zipfile.ZipFile(crate) as archive:
        page = json.loads(archive.read("manifest.json"))
    page["files"]["code/user/json.py"] = hashlib.sha256(b"evil()\n").hexdigest()
    changes = {
        "manifest_dot_json": json.dumps(page).encode(),
        "code__user__json_dot_py": b"evil()\n",
    }
    assert not compared(capsys, repack(crate, **changes), "--as", "b")["its code"]["is_same"]


def test_reproduce__run_that_was_edited_by_hand(tmp_path, monkeypatch, capsys) -> None:
    run_dir = make_started(tmp_path / "there", monkeypatch)
    with (run_dir / "run.sh").open("a") as file:
        file.write("# mine\n")
    capsys.readouterr()
    assert run("export", run_dir, "--ro-crate", "--out", tmp_path / "x.zip") == 0
    assert "note: edited by hand since it was rendered: run.sh" in capsys.readouterr().err
    found = compared(capsys, tmp_path / "x.zip", "--as", "b")
    assert (found["code"], found["crate"]["is_same"]) == (2, True)
    assert found["its own files"]["now"] == "edited by hand: run.sh"


def test_reproduce__run_that_began_with_a_checkpoint(tmp_path, monkeypatch, capsys) -> None:
    run_dir = make_started(tmp_path / "there", monkeypatch)
    amend(run_dir, resumed_from={"run": "/a b", "checkpoint": "state_9.pt", "sha256": "ab" * 32})
    out = tmp_path / "x.zip"
    assert run("export", run_dir, "--ro-crate", "--out", out) == 0
    with zipfile.ZipFile(out) as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
    (entity,) = [e for e in graph if e["@id"] == "file:///a%20b/checkpoints/state_9.pt"]
    assert entity["sha256"] == "ab" * 32
    found = compared(capsys, out, "--as", "b")
    assert (found["code"], found["crate"]["is_same"]) == (2, True)
    text = "began with state_9.pt of /a b, which is not in the crate"
    assert found["beginning"]["now"] == text


DEEP = b'{"a":' * 100_000


def flip(crate: Path, name: str) -> None:
    """Spoil the packed bytes of a file in a zip file, and leave its directory whole."""
    with zipfile.ZipFile(crate) as archive:
        info = archive.getinfo(name)
    content = bytearray(crate.read_bytes())
    at = info.header_offset + 30 + len(name)
    content[at : at + 8] = b"\xff" * 8
    crate.write_bytes(content)


def test_reproduce__broken_and_encrypted_files_are_one_sentence(crate, capsys) -> None:
    whole = crate.read_bytes()
    flip(crate, "index.csv")
    assert run("reproduce", crate) == 2
    assert "index.csv cannot be read" in capsys.readouterr().err
    content = bytearray(whole)
    at = content.rindex(b"index.csv") - 46 + 8  # its flags in the directory
    content[at] |= 1
    crate.write_bytes(content)
    assert run("reproduce", crate) == 2
    assert "index.csv cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("index.csv", b"\xff\xfe", "index.csv is no text in UTF-8"),
        ("code/constraints.txt", b"\xff", "code/constraints.txt is no text in UTF-8"),
        ("index.json", b"{", "index.json is not JSON"),
        ("index.json", DEEP, "index.json is not JSON"),
        ("config.yaml", b"\xff\xfe\xff", "config.yaml"),
        ("config.yaml", b"a: " + b"[" * 100_000, "config.yaml"),
    ],
)
def test_reproduce__bad_texts_are_one_sentence(crate, capsys, name, content, message) -> None:
    changed = repack(crate, **{name.replace("/", "__").replace(".", "_dot_"): content})
    assert run("reproduce", changed, "--data-root", ".") == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_reproduce__code_beyond_all_measure_is_not_read(crate, monkeypatch, capsys) -> None:
    monkeypatch.setattr(unpack, "_MOST_BYTES", 1 << 20)
    assert run("reproduce", crate) == 2
    assert " MiB; at most 1 MiB are read" in capsys.readouterr().err


def test_reproduce__version_that_would_be_a_line_of_the_script(crate, capsys) -> None:
    with zipfile.ZipFile(crate) as archive:
        page = json.loads(archive.read("manifest.json"))
    page["version"] = "1.0\nrm -rf /"
    assert run("reproduce", repack(crate, manifest_dot_json=json.dumps(page).encode())) == 2
    assert "has control characters" in capsys.readouterr().err
    assert not Path("jobs/small").exists()
