"""`hpctrain index`, as people use it."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

from hpctrain.cli import main
from hpctrain.index.store import load_index
from tests.unit.cli.test_render import JOB, write_npy
from tests.unit.index.sky import NS, write_pair, write_pairs


@pytest.fixture
def sky(tmp_path, monkeypatch):
    write_pairs(tmp_path / "sky", 6)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "sky"


@pytest.fixture
def run(capsys):
    def call(*argv: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as info:
            main(["index", *map(str, argv)])
        out, err = capsys.readouterr()
        return info.value.code or 0, out, err

    return call


def test_build__needs_its_rule_once(sky, run):
    assert run("build", "sky", "--rule", "sage")[1] == "sky/index.csv: written; 6 samples: 6 ok\n"
    assert run("build", "sky")[1] == "sky/index.csv: nothing changed; 6 samples: 6 ok\n"
    write_pair(sky, 6, thermal_position="8")
    code, out, _ = run("build", "--out", "sky/index.csv")
    assert code == 0
    assert out.splitlines()[0].endswith("written; 7 samples: 6 ok, 1 bad")
    assert "      1 unequal-positions, such as W02D/" in out
    assert run("build", "sky")[1] == out.replace("written", "nothing changed")


def test_build__noticed_when_the_table_was_edited(sky, run):
    run("build", "sky", "--rule", "sage")
    text = (sky / "index.csv").read_text()
    (sky / "index.csv").write_text(text.replace(",ok,", ",bad,", 1))
    assert "written; 6 samples: 6 ok" in run("build", "sky")[1]
    assert (sky / "index.csv").read_text() == text


def test_build__from_options_alone_and_from_a_file(sky, run, tmp_path):
    words = ["--modality", "rgb=rgb/*/*.jpg", "--modality", "thermal=thermal/*/*.csv"]
    words += ["--pair", "timestamp", "--node", "folder:1", "--out", tmp_path / "a.csv"]
    assert "6 ok" in run("build", "sky", *words)[1]
    rule = {"modalities": {"rgb": {"files": "rgb/*/*.jpg"}}, "pair": "stem", "inspect": "full"}
    (tmp_path / "rule.yaml").write_text(yaml.safe_dump(rule))
    assert "6 bad" in run("build", "sky", "--rule", "rule.yaml", "--out", tmp_path / "b")[1]
    assert load_index(tmp_path / "b.csv").rows[0].reason.startswith("unreadable: rgb: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sky"], "--rule: how are files paired? choose from fragment, map2map, sage, scivis"),
        (["sky", "--rule", "sagee"], "unknown rule 'sagee'; choose from .*Did you mean 'sage'"),
        (["gone", "--rule", "sage"], "gone: does not exist"),
        ([], "found no ROOT"),
        (["--out", "new.csv"], "no index yet; give ROOT"),
        (["sky", "--rule", "sage", "--out", "no/x.csv"], "its folder does not exist"),
        (
            ["sky", "--rule", "sage", "--pair", "time"],
            "command line: pair: unknown pair 'time'; choose from timestamp",
        ),
        (["sky", "--modality", "rgb"], "--modality: found 'rgb'"),
        (["sky", "--rule", "sage", "--move-bad", "--restore-bad"], "undo each other"),
    ],
)
def test_build__mistakes(sky, run, words, message):
    code, _, err = run("build", *words)
    assert code == 2
    assert re.search(message.replace("?", r"\?"), err), err


def test_rule__mistake_in_a_file_has_its_line(sky, run, tmp_path):
    (tmp_path / "r.yaml").write_text("modalities:\n  rgb: {files: x}\nmissing_position: drop\n")
    _, _, err = run("build", "sky", "--rule", "r.yaml")
    assert err.startswith("hpctrain: r.yaml:3: missing_position: unknown missing_position 'drop'")


def test_move__and_restore(sky, run):
    write_pair(sky, 6, thermal_position="8")
    code, out, _ = run("build", "sky", "--rule", "sage", "--move-bad")
    assert (code, out.splitlines()[0]) == (0, f"2 files of bad samples moved to {sky}/bad_pairs/")
    assert run("verify", "sky")[0] == 0
    assert run("build", "sky", "--restore-bad")[1].startswith("2 files moved back")
    assert run("verify", "sky")[0] == 0
    assert not (sky / "bad_pairs").exists()


def test_split__stays_when_the_index_is_built_again(sky, run):
    run("build", "sky", "--rule", "sage")
    code, out, _ = run("split", "sky", "--by", "hour", "--validation", "2")
    assert (code, "6 ok (train 4, validation 2)" in out) == (0, True)
    before = {r.id: r.split for r in load_index(sky).rows}
    assert "nothing changed" in run("build", "sky")[1]
    for number in range(6, 12):
        write_pair(sky, number)
    assert "12 ok (train 10, validation 2)" in run("build", "sky")[1]
    after = {r.id: r.split for r in load_index(sky).rows}
    assert {key: after[key] for key in before} == before
    assert run("split", "sky", "--by", "hour")[0] == 2
    assert run("split", "sky", "--validation", "2")[0] == 2


def test_show__counts_rows_and_one_sample(sky, run):
    write_pair(sky, 6, thermal_position="8")
    run("build", "sky", "--rule", "sage")
    out = run("show", "sky")[1]
    assert "      1 unequal-positions\n" in out
    page = json.loads(run("show", "sky", "--json")[1])
    assert page["status"] == {"bad": 1, "ok": 6}
    out = run("show", "sky", "--where", 'status == "bad"')[1]
    assert "1 of 7 samples" in out
    assert "unequal-positions: 3 and 8" in out
    lines = run("show", "sky", "--where", 'position == "3"', "--csv")[1].splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("id,split,status,reason,rgb,rgb_size")
    assert "timestamp       2023-03-08T20:58:38Z" in run("show", "sky", f"W02D/{NS}")[1]
    code, _, err = run("show", "sky", f"W02D/{NS}1")
    assert (code, "Did you mean" in err) == (2, True)


def test_verify__exit_codes(sky, run):
    run("build", "sky", "--rule", "sage")
    assert run("verify", "sky")[:2] == (
        0,
        "6 samples, 12 files compared, 12 read: all as indexed\n",
    )
    path = next(sky.glob("rgb/*/*.jpg"))
    path.unlink()
    code, out, _ = run("verify", "sky", "--changed-only")
    assert code == 2
    assert f"{path.relative_to(sky)}: missing: No such file" in out
    code, out, _ = run("verify", "sky", "--sample", "6", "--json")
    assert [f["code"] for f in json.loads(out)["faults"]] == ["missing"]
    assert run("verify", "gone")[0] == 2


def test_diff_merge_import_export(sky, run, tmp_path):
    run("build", "sky", "--rule", "sage", "--out", "a.csv")
    assert run("diff", "a.csv", "a")[:2] == (0, "the same samples\n")
    write_pair(sky, 9)
    run("build", "sky", "--rule", "sage", "--out", "b.csv")
    code, out, _ = run("diff", "a.csv", "b.csv")
    assert (code, out.splitlines()[-1]) == (1, "1 added")
    assert run("diff", "a.csv", "b.csv", "--brief")[1] == "1 added\n"
    assert "7 samples: 7 ok" in run("merge", "a.csv", "b.csv", "--out", "m.csv")[1]
    assert run("merge", "a.csv", "--out", "m.csv")[0] == 2
    assert run("export", "b.csv", "sky")[1] == "sky: 7 lists written\n"
    assert "7 samples: 7 ok" in run("import", "sky", "--out", "c.csv")[1]


def test_build__interrupted_keeps_the_old_index_and_what_was_read(sky, run):
    run("build", "sky", "--rule", "sage")
    before = (sky / "index.csv").read_bytes(), (sky / "index.json").read_bytes()
    write_pairs(sky, 3000)
    command = [sys.executable, "-m", "hpctrain", "index", "build", "sky"]
    for number in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=sky.parent
        )
        facts = next((sky.parent / "cache").rglob("*.facts"))
        size = facts.stat().st_size
        while facts.stat().st_size == size and process.poll() is None:
            time.sleep(0.001)
        os.kill(process.pid, number)
        process.communicate()
        assert process.returncode != 0, "it was done before the signal came"
        assert ((sky / "index.csv").read_bytes(), (sky / "index.json").read_bytes()) == before
        assert facts.stat().st_size > size
    assert "3000 samples: 3000 ok" in run("build", "sky")[1]


def test_job__reads_an_index(tmp_path, monkeypatch, run, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for folder, size in (("hr", 16), ("lr", 8)):
        (tmp_path / "box" / folder).mkdir(parents=True)
        for i in range(5):
            write_npy(tmp_path / "box" / folder / f"step{i}.npy", i, (2, size, size, size))
    words = ["--modality", "target=hr/*.npy", "--modality", "input=lr/*.npy", "--inspect", "none"]
    assert "5 ok" in run("build", "box", *words)[1]
    job = {**JOB, "data": {"kind": "fields", "index": "box", "geometry": "box", "crop": [4, 4, 4]}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(job))

    def render(*settings):
        with pytest.raises(SystemExit) as info:
            main(["render", "small", *(f"--set={s}" for s in settings)])
        return info.value.code or 0, capsys.readouterr().err

    assert "no usable sample is in the split train; divide it with" in render()[1]
    run("split", "box", "--by", "id", "--validation", "2")
    assert render() == (0, "")
    frozen = load_index(tmp_path / "jobs/small/index.csv")
    assert frozen.root == tmp_path / "box"
    assert frozen.counts["validation"] == 2
    assert [r.id for r in frozen.rows] == [r.id for r in load_index(tmp_path / "box").rows]
    config = yaml.safe_load((tmp_path / "jobs/small/config.yaml").read_text())
    assert config["data"]["root"] == str(tmp_path / "box")
    assert config["data"]["index"] == str(tmp_path / "box")
    code, err = render("data.validation_steps=1", "name=other")
    assert (code, "validation_steps would have no effect" in err) == (2, True)
    write_npy(tmp_path / "box/lr/step0.npy", 7, (2, 8, 8, 8))
    code, err = render("name=third")
    assert (code, "content has changed" in err) == (2, True)
