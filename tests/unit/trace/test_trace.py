"""`hpctrain trace` of products, copies, altered files, and runs that have moved or gone."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from hpctrain.provenance import Stamp, embed, stamp_run
from tests.started import amend, make_started, product, run


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_started(tmp_path / "a b $HOME 'ü'", monkeypatch)


def links(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[int, dict[str, str], str]:
    """Exit code, verdict by kind, and the problem."""
    capsys.readouterr()
    code = run("trace", *argv, "--json")
    page = json.loads(capsys.readouterr().out)
    assert page["is_unchanged"] == (code == 0)
    return code, {link["kind"]: link["verdict"] for link in page["links"]}, page["problem"]


def test_trace__a_copy_elsewhere(run_dir, tmp_path, capsys) -> None:
    copy = tmp_path / "other" / "x.json"
    copy.parent.mkdir()
    shutil.copyfile(product(run_dir), copy)
    code, verdicts, problem = links(capsys, copy, "--digests")
    assert (code, problem) == (0, "")
    compared = ("evaluation", "config", "code", "index", "inputs")
    assert [verdicts[kind] for kind in compared] == ["same"] * 5


def test_trace__readable(run_dir, capsys) -> None:
    path = product(run_dir)
    capsys.readouterr()
    assert run("trace", path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"evaluation    same     {path}"
    assert lines[1].startswith(f"{'':23}after epoch 1, step 5, sha256 ")
    assert f"launch{'':17}one" in lines
    assert f"{'':23}1970-01-01 00:00:01 UTC, on n1, 2 ranks, ddp" in lines
    assert f"inputs        same     {run_dir.parents[1] / 'data'}" in lines
    assert lines[-1] == "all of it is as it was"


@pytest.mark.parametrize("name", ["small", "jobs/small"])
def test_trace__a_run_by_name(run_dir, capsys, name) -> None:
    code, verdicts, _ = links(capsys, name)
    assert code == 0
    kinds = ["run", "config", "code", "rendered", "container", "launch", "index", "inputs"]
    assert list(verdicts) == kinds


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("config.yaml", "config"),
        ("index.csv", "index"),
        ("code/hpctrain/errors.py", "code"),
    ],
)
def test_trace__edited_since(run_dir, capsys, name, kind) -> None:
    path = product(run_dir)
    with (run_dir / name).open("a") as file:
        file.write("# edited\n" if kind != "index" else "x,train,left_out" + 12 * "," + "\n")
    code, verdicts, _ = links(capsys, path)
    assert code == 2
    assert [k for k, verdict in verdicts.items() if verdict == "changed"] == [kind]


def test_trace__inputs_changed_touched_and_missing(run_dir, capsys) -> None:
    path, data = product(run_dir), run_dir.parents[1] / "data"
    os.utime(data / "step0.npy", ns=(1, 1))  # the same content: no change
    assert links(capsys, path)[0] == 0
    content = bytearray((data / "step1.npy").read_bytes())
    content[-1] ^= 1
    (data / "step1.npy").write_bytes(content)
    (data / "step2.npy").unlink()
    capsys.readouterr()
    assert run("trace", path) == 2
    out = capsys.readouterr().out
    assert "3 files, 98.7 kB, 2 not as indexed" in out
    assert "changed: sha256 " in out
    assert "missing (No such file or directory): step2.npy" in out
    assert out.splitlines()[-1] == "not as it was: inputs"


def test_trace__same_size_and_time_needs_digests(run_dir, capsys) -> None:
    path, file = product(run_dir), run_dir.parents[1] / "data" / "step1.npy"
    time = file.stat().st_mtime_ns
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(time, time))
    assert links(capsys, path)[0] == 0
    assert links(capsys, path, "--digests")[1]["inputs"] == "changed"


def test_trace__altered_product(run_dir, capsys) -> None:
    path = product(run_dir)
    path.write_text(path.read_text().replace("1.5", "0.5"))
    code, verdicts, _ = links(capsys, path)
    assert (code, verdicts["evaluation"]) == (2, "changed")
    capsys.readouterr()
    run("trace", path)
    assert "altered since it was written" in capsys.readouterr().out


def test_trace__run_gone_and_found_again(run_dir, tmp_path, capsys) -> None:
    copy = tmp_path / "x.json"
    shutil.copyfile(product(run_dir), copy)
    moved = run_dir.rename(tmp_path / "moved")
    code, verdicts, problem = links(capsys, copy)
    assert code == 2
    assert problem.startswith(f"could not be compared: {run_dir} is not here (it was on ")
    assert problem.endswith("say where the run lies now with --run DIR")
    assert {verdicts[kind] for kind in ("run", "config", "code", "index")} == {"unknown"}
    code, verdicts, problem = links(capsys, copy, "--run", moved)
    assert (code, problem, verdicts["inputs"]) == (0, "", "same")


def test_trace__another_run_lies_there_now(run_dir, capsys, tmp_path) -> None:
    copy = tmp_path / "x.json"
    shutil.copyfile(product(run_dir), copy)
    amend(run_dir, launches=[{"launch_id": "again", "hosts": ["n1"], "time": 9.0}])
    code, verdicts, problem = links(capsys, copy)
    assert (code, verdicts["config"]) == (2, "unknown")
    assert "is another run" in problem
    assert "is another run" in links(capsys, copy, "--run", run_dir)[2]


def test_trace__checkpoint_that_was_taken_away(run_dir, capsys) -> None:
    path = run_dir / "eval" / "a.json"
    path.write_text("{}")
    more = {"checkpoint": "state_1.pt", "checkpoint_digest": "ab" * 32}
    embed(path, stamp_run(run_dir, "figure", epoch=1, global_step=5, **more))
    code, verdicts, _ = links(capsys, path)
    assert (code, verdicts["checkpoint"]) == (2, "missing")
    (run_dir / "checkpoints" / "state_1.pt").write_bytes(b"something else")
    assert links(capsys, path)[1]["checkpoint"] == "changed"


def test_trace__container_image(run_dir, tmp_path, capsys) -> None:
    image = tmp_path / "x.sif"
    image.write_bytes(b"image")
    digest = "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"
    facts = {"image": str(image), "size": 5, "sha256": digest, "labels": {"hpctrain.mpi": "x"}}
    amend(run_dir, launches=[{"launch_id": "one", "container": facts}])
    path = product(run_dir)
    assert links(capsys, path)[1]["container"] == "same"
    assert links(capsys, path, "--digests")[1]["container"] == "same"
    image.write_bytes(b"imagf")
    assert links(capsys, path)[1]["container"] == "same"
    assert links(capsys, path, "--digests")[1]["container"] == "changed"
    image.write_bytes(b"image+")
    assert links(capsys, path)[1]["container"] == "changed"
    image.unlink()
    assert links(capsys, path)[1]["container"] == "missing"


def test_trace__data_card(run_dir, capsys) -> None:
    card = run_dir.parents[1] / "data" / "DATA_CARD.md"
    card.write_text("# Made up\n\n- generator: dice 1.0\n- **Licence**: CC0-1.0\n")
    run("trace", product(run_dir))
    out = capsys.readouterr().out
    assert "data card              DATA_CARD.md" in out
    assert "source: dice 1.0" in out
    assert "licence: CC0-1.0" in out
    card.write_text("# Data card\n\n## Licence\n\nCC-BY-4.0\n\n## Digests\n")
    capsys.readouterr()
    run("trace", run_dir)
    assert "licence: CC-BY-4.0" in capsys.readouterr().out
    card.with_name("data_card.json").write_text(
        json.dumps({"title": "T", "source": {"url": "https://x"}, "license": "MIT"})
    )
    run("trace", run_dir)
    assert "source: url https://x" in capsys.readouterr().out
    card.with_name("data_card.json").write_text(
        json.dumps({"tool": "hpctrain 1", "sources": [{"path": "/a", "kind": "volume"}]})
    )
    run("trace", run_dir)
    assert "source: path /a, kind volume" in capsys.readouterr().out


def test_trace__files_without_a_stamp(run_dir, tmp_path, capsys) -> None:
    (run_dir / "logs" / "metrics.jsonl").write_text("x\n")
    code, verdicts, _ = links(capsys, run_dir / "logs" / "metrics.jsonl")
    assert (code, verdicts["file"]) == (0, "")
    (run_dir / "run.sh").write_text("mine")
    code, verdicts, _ = links(capsys, run_dir / "run.sh")
    assert (code, verdicts["rendered"]) == (2, "changed")
    (tmp_path / "x.txt").write_text("hello")
    assert run("trace", tmp_path / "x.txt") == 2
    assert "carries no stamp of hpctrain" in capsys.readouterr().err
    assert run("trace", tmp_path / "nothing") == 2
    assert "no such file" in capsys.readouterr().err


def test_trace__a_stamp_from_elsewhere_cannot_command_the_terminal(tmp_path, capsys) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    embed(path, Stamp("figure", run_dir="/\x1b[2J\nok", run_id="\x07"))
    assert run("trace", path) == 2
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "/\\x1b[2J\\nok" in out


def test_trace__what_cannot_be_compared_is_not_unchanged(run_dir, capsys) -> None:
    event = run_dir / "tensorboard" / "events.out.tfevents.1"
    event.write_bytes(bytes(100))
    code, verdicts, _ = links(capsys, event)
    assert (code, verdicts["file"]) == (2, "unknown")
    facts = {"image": "docker://x/y:1"}
    amend(run_dir, launches=[{"launch_id": "one", "container": facts}])
    code, verdicts, _ = links(capsys, run_dir)
    assert [kind for kind, verdict in verdicts.items() if verdict == "unknown"] == ["container"]
    assert code == 2
    capsys.readouterr()
    assert run("trace", run_dir) == 2
    assert capsys.readouterr().out.splitlines()[-1] == "not compared: container"


def test_trace__index_page_gone_and_manifest_torn(run_dir, capsys) -> None:
    (run_dir / "index.json").unlink()
    code, verdicts, _ = links(capsys, run_dir)
    assert (code, verdicts["inputs"], verdicts["rendered"]) == (2, "unknown", "changed")
    path = run_dir / "manifest.json"
    path.write_bytes(path.read_bytes()[:-9])
    code, verdicts, _ = links(capsys, run_dir)
    unknown = ("config", "code", "rendered", "index")
    assert [verdicts[kind] for kind in unknown] == ["unknown"] * 4
    assert code == 2


@pytest.mark.parametrize("name", ["run.sh", "rank.sh", "site.yaml", "index.json", "code/x"])
def test_trace__edits_of_what_was_rendered(run_dir, capsys, name) -> None:
    with (run_dir / name).open("a") as file:
        file.write("\n")
    code, verdicts, _ = links(capsys, run_dir)
    assert (code, [k for k, verdict in verdicts.items() if verdict == "changed"]) == (
        2,
        ["rendered"],
    )
    capsys.readouterr()
    run("trace", run_dir)
    assert f": {name}\n" in capsys.readouterr().out


def test_trace__the_run_around_a_file_before_the_one_it_was_made_in(
    run_dir, tmp_path, capsys
) -> None:
    product(run_dir)
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy)
    (copy / "config.yaml").write_text("name: other\n")
    assert links(capsys, copy / "eval/summary.json")[1]["config"] == "changed"
    assert links(capsys, run_dir / "eval/summary.json")[1]["config"] == "same"
    assert run("trace", run_dir, "--run", copy) == 2
    assert "is a run directory itself" in capsys.readouterr().err


def test_trace__bad_files_of_others_are_no_traceback(run_dir, tmp_path, capsys) -> None:
    deep = b'{"schema":' * 100_000
    path = tmp_path / "x" / "field.npy"
    path.parent.mkdir()
    path.write_bytes(b"x")
    embed(path, stamp_run(run_dir, "prediction"))
    path = path.rename(path.with_name("renamed.npy"))
    path.with_name("a.npy.provenance.json").write_bytes(deep)
    assert links(capsys, path)[0] == 0
    for content in (deep, b"\x00" + b'{"schema":"hpctrain-provenance/' + deep):
        path = path.with_name("x.json")
        path.write_bytes(content)
        assert run("trace", path) == 2
        assert f"{path}: " in capsys.readouterr().err
    (run_dir / "index.csv").write_bytes(b"\xff\xfe")
    assert links(capsys, run_dir)[1]["inputs"] == "unknown"
