"""`hpctrain lint`: what is printed, and with which exit code."""

import json

import pytest

from hpctrain.cli import main

GOOD = "#!/bin/bash\n#SBATCH -N 1\n#SBATCH --time=01:00:00\nsrun x\n"
WARNED = GOOD.replace("#SBATCH --time=01:00:00\n", "")
BAD = GOOD.replace("-N 1", "N=1")


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("good", GOOD), ("warned", WARNED), ("bad", BAD)):
        (tmp_path / f"{name}.sh").write_text(text)
    return tmp_path


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(["lint", *argv])
    return info.value.code or 0


@pytest.mark.parametrize(("name", "code"), [("good", 0), ("warned", 0), ("bad", 2)])
def test_lint__exit_codes(scripts, name, code):
    assert run(f"{name}.sh") == code


def test_lint__a_line_a_finding(scripts, capsys):
    assert run("bad.sh", "good.sh", "warned.sh") == 2
    out, err = capsys.readouterr()
    assert [line.split(" ")[:2] for line in out.splitlines()] == [
        ["bad.sh:2:", "HT014"],
        ["warned.sh:2:", "HT036"],
    ]
    assert err == ""


def test_lint__json(scripts, capsys):
    assert run("--json", "bad.sh") == 2
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["file"], row["line"], row["code"], row["severity"]) == (
        "bad.sh",
        2,
        "HT014",
        "error",
    )
    assert run("--json", "good.sh") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_lint__select_and_ignore(scripts, capsys):
    assert run("bad.sh", "--ignore", "HT014, HT020") == 0
    assert run("bad.sh", "warned.sh", "--select", "HT03") == 0
    assert "HT036" in capsys.readouterr().out


def test_lint__folders_and_rights_are_looked_up(scripts, capsys):
    script = scripts / "a.sh"
    script.write_text("#!/bin/bash\n#COBALT -n 1 -t 10 -o logs/x\n./run\n")
    assert run("a.sh") == 2
    assert [line.split(" ")[1] for line in capsys.readouterr().out.splitlines()] == [
        "HT013",
        "HT041",
    ]
    script.chmod(0o755)
    (scripts / "logs").mkdir()
    assert run("a.sh") == 0


def test_lint__folders_of_other_machines_are_not_looked_for(scripts):
    (scripts / "a.sh").write_text(
        GOOD.replace("srun", "#SBATCH -o /lus-of-elsewhere/x/y.out\nsrun")
    )
    assert run("a.sh") == 0


def test_lint__the_rules_of_a_site(scripts, capsys):
    (scripts / "a.sh").write_text("#!/bin/bash\n#PBS -l walltime=01:00:00\ncd x\nmpiexec x\n")
    assert run("a.sh") == 0
    assert run("a.sh", "--site", "polaris") == 2
    assert "HT090 polaris refuses a job that names no account" in capsys.readouterr().out


def test_lint__line_ends_of_windows(scripts, capsys):
    (scripts / "a.sh").write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert run("a.sh") == 2
    assert [line.split(" ")[1] for line in capsys.readouterr().out.splitlines()] == ["HT012"]


def test_lint__rules(capsys):
    assert run("--rules") == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) > 50
    assert out[0] == "HT001  error    pbs slurm cobalt   Directive after the first command"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "found no FILE; allowed: one batch script or more"),
        (("nosuch.sh",), "nosuch.sh: No such file or directory; allowed: a batch script"),
        ((".",), ".: Is a directory; allowed: a batch script"),
        (("binary",), "binary: is no text; allowed: a batch script"),
        (("empty",), "empty: is empty; allowed: a batch script"),
        (("--rules", "good.sh"), "--rules: reads no FILE"),
        (
            ("good.sh", "--scheduler", "lsf"),
            "--scheduler: found 'lsf'; choose from pbs, slurm, cobalt",
        ),
        (("good.sh", "--site", "nosuch"), "site: unknown site 'nosuch'; choose from"),
        (("good.sh", "--select", "X1"), "found 'X1'; allowed: codes of rules"),
        (("good.sh", "--ignore", ""), "found ''; allowed: codes of rules"),
    ],
)
def test_lint__bad_input_is_one_sentence(scripts, capsys, argv, message):
    (scripts / "binary").write_bytes(b"\x7fELF\0")
    (scripts / "empty").write_text("\n")
    assert run(*argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"hpctrain: {message}")
    assert len(err.splitlines()) == 1


def test_lint__hostile_names_and_bytes(scripts, capsys):
    name = "a b;$(x)'\u00e9.sh"
    (scripts / name).write_bytes(BAD.encode() + b"echo \xff\xfe\n")
    assert run(name) == 2
    assert capsys.readouterr().out.startswith(f"{name}:2: HT014 ")


def test_lint__silence_is_no_praise(scripts, capsys):
    (scripts / "plain.sh").write_text("#!/bin/bash\nls\n")
    assert run("plain.sh") == 0
    out, err = capsys.readouterr()
    assert out == "1 script: nothing to complain about\n"
    assert err.startswith("note: plain.sh: has no #PBS, #SBATCH or #COBALT line")
    assert run("plain.sh", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_lint__rules_for_programs(capsys):
    assert run("--rules", "--json") == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert first["code"] == "HT001"
    assert first.keys() == {"code", "severity", "schedulers", "title"}
