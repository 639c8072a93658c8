"""`hpctrain import-map2map` as a user calls it."""

from __future__ import annotations

import io

import pytest

from hpctrain.cli import main
from tests.unit.imports.test_map2map import PLAIN


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        with pytest.raises(SystemExit) as info:
            main(["import-map2map", *words])
        return (info.value.code or 0, *capsys.readouterr())

    return call


def test_import__prints_the_job_and_says_what_differs(run):
    code, out, err = run(f"{PLAIN} --in-pad 20")
    assert code == 0
    assert out.startswith("# From: m2m.py train")
    assert "generator: {kind: unet}" in out
    assert "hpctrain: --in-pad: left out; the halo is computed from the network" in err


def test_import__writes_a_file_that_show_accepts(run, tmp_path, capsys):
    code, out, _ = run(PLAIN, "--out", "my-fields.yaml", "--gpus", "2")
    assert (code, out) == (
        0,
        "my-fields.yaml: written; next: hpctrain models --job my-fields.yaml\n",
    )
    with pytest.raises(SystemExit):
        main(["show", "my-fields.yaml", "--set", "site=local"])
    assert "global_batch_size: 4" in capsys.readouterr().out
    code, _, err = run(PLAIN, "--out", "my-fields.yaml")
    assert code == 2
    assert "is there already" in err


def test_import__reads_stdin_and_refuses_with_exit_code_2(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(PLAIN.encode())))
    assert run("-")[0] == 0
    code, out, err = run(f"{PLAIN} --tgt-pad 3")
    assert (code, out) == (2, "")
    assert err.startswith("hpctrain: m2m.py: --tgt-pad: ")
