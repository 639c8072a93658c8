"""init, sample, show, schema, site."""

import json
import re

import pytest
import yaml

from hpctrain.cli import main
from hpctrain.registry import SAMPLES
from tests.jobs import REPO


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


def test_init__writes_the_shipped_job(here, capsys):
    assert run("init", "mantle") == 0
    assert (here / "mantle.yaml").read_text() == (REPO / "jobs" / "mantle.yaml").read_text()
    assert "next: hpctrain sample mantle && hpctrain render mantle.yaml" in capsys.readouterr().out


def test_init__never_overwrites(here, capsys):
    (here / "mantle.yaml").write_text("mine")
    assert run("init", "mantle") == 2
    assert (here / "mantle.yaml").read_text() == "mine"
    assert "mantle.yaml: exists" in capsys.readouterr().err


def test_init__unknown_example(capsys):
    assert run("init", "mantel") == 2
    assert (
        "unknown example 'mantel'; choose from cosmogan, dino, field-to-field, ink, mantle, "
        "mantle-scivis, scroll, vicreg" in capsys.readouterr().err
    )


def test_init__folder_that_is_not_there(capsys):
    assert run("init", "mantle", "--out", "no/such/x.yaml") == 3
    assert "cannot be written" in capsys.readouterr().err


def test_show__is_yaml_with_sources(capsys):
    run("init", "mantle")
    capsys.readouterr()
    assert run("show", "mantle", "--site", "polaris", "--set", "train.epochs=3") == 0
    out = capsys.readouterr().out
    values = yaml.safe_load(out)
    assert values["train"]["epochs"] == 3
    assert values["resources"]["walltime"] == "01:00:00"
    sources = {
        line.split("#")[0].strip(): line.split("#")[1].strip()
        for line in out.splitlines()
        if "#" in line
    }
    assert sources["epochs: 3"] == "--set train.epochs=3"
    assert sources["name: mantle"] == "mantle.yaml:10"
    assert sources["seed: 0"] == "default"
    assert "sites/polaris.yaml:" in sources["filesystems: [home, eagle]"]


def test_schema__is_a_json_schema(capsys):
    assert run("schema") == 0
    page = json.loads(capsys.readouterr().out)
    assert page["additionalProperties"] is False
    assert page["$defs"]["Resources"]["properties"]["walltime"]["type"] == "string"
    described = page["$defs"]["Resources"]["properties"].values()
    assert all(field.get("description") for field in described)


def test_site_list__marks_this_host(capsys):
    assert run("site", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("*") for line in lines) == 1
    assert any("Polaris, ALCF" in line for line in lines)


def test_site_show__prints_a_file_that_can_be_used(here, capsys):
    assert run("site", "show", "generic-slurm") == 0
    (here / "mine.yaml").write_text(capsys.readouterr().out)
    run("init", "mantle")
    assert run("show", "mantle", "--site", "mine.yaml") == 0


def test_site_show__unknown(capsys):
    assert run("site", "show", "summit") == 2
    assert "unknown site 'summit'" in capsys.readouterr().err


@pytest.fixture
def own_sample(here, monkeypatch):
    """In place of the mantle's generator, one that writes down what it was given."""
    (here / "own_sample.py").write_text(
        "def write(out, progress, **given):\n"
        "    progress('working')\n"
        "    out.mkdir(parents=True)\n"
        "    (out / 'given.txt').write_text(str(given))\n"
        "    return [out / 'given.txt']\n"
    )
    monkeypatch.syspath_prepend(here)
    monkeypatch.setitem(SAMPLES, "mantle", "own_sample:write")
    return here / "data" / "mantle" / "given.txt"


def test_sample__hands_on_only_what_was_given(own_sample, capsys):
    assert run("sample", "mantle", "--size", "4,8,16", "--seed", "0") == 0
    found = capsys.readouterr()
    assert (found.out, found.err) == ("data/mantle: 1 files\n", "working\n")
    assert own_sample.read_text() == "{'size': (4, 8, 16), 'seed': 0}"


@pytest.mark.parametrize("size", ["4,8", "a,b,c", "0,8,8", "4x8x8", ""])
def test_sample__size_that_is_none(size, capsys):
    assert run("sample", "mantle", "--size", size) == 2
    assert "allowed: three whole numbers" in capsys.readouterr().err


def test_sample__size_of_a_surface_has_two_numbers(capsys):
    assert run("sample", "scroll", "--size", "4,8,16") == 2
    assert "allowed: two whole numbers, such as 512,2048" in capsys.readouterr().err


def test_sample__unknown(capsys):
    assert run("sample", "mantel") == 2
    assert "Did you mean 'mantle'?" in capsys.readouterr().err


def test_sample__own_options_reach_the_generator(here, capsys):
    words = ("--universes", "2", "--size", "8", "--box", "12.5", "--out", "small")
    assert run("sample", "nbody", *words) == 0
    found = capsys.readouterr()
    assert found.out == "small: 2 files\n"
    assert "universe 2 of 2: parameters" in found.err
    assert "box: 12.5 Mpc/h" in (here / "small" / "DATA_CARD.md").read_text()


def test_sample__every_one_has_a_command_and_help_lists_it(capsys):
    assert run("sample", "--help") == 0
    listed = re.findall(r"^  (\w+)  ", capsys.readouterr().out, re.MULTILINE)
    assert sorted(listed) == sorted(SAMPLES)


def test_sample__option_of_another_one(capsys):
    assert run("sample", "mantle", "--universes", "3") == 2
    assert "No such option" in capsys.readouterr().err
