"""Scripts, schema and help as they were last accepted; `make golden` accepts a change."""

import difflib
import json
import re
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from hpctrain.cli.app import app
from hpctrain.cli.schema import schema_text
from hpctrain.render import render
from hpctrain.render.script import SCRIPTS
from tests.jobs import BATCH, inputs, mantle
from tests.requires import find_shellcheck, requires

HERE = Path(__file__).parent

GPU = (*BATCH, "resources.gpus_per_rank=1")
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "mantle.local": ("local", ()),
    "mantle.pbs": ("generic-pbs", ("resources.nodes=2",)),
    "mantle.slurm": ("generic-slurm", ("resources.nodes=2",)),
    "mantle.cobalt": ("generic-cobalt", ("resources.nodes=2",)),
    "mantle.polaris": ("polaris", GPU),
    "mantle.polaris.container": ("polaris", (*GPU, "container.image=hpctrain.sif")),
    "mantle.perlmutter": ("perlmutter", GPU),
    "mantle.thetagpu": ("thetagpu", GPU),
}


def scripts(case: str) -> dict[str, str]:
    """Golden name to text: the run script and rank.sh."""
    site, settings = CASES[case]
    resolved = mantle(site, *settings)
    files = render(resolved.job, resolved.site, inputs())
    run = files[SCRIPTS[resolved.site.scheduler]].content.decode()
    return {f"{case}.sh": run, f"{case}.rank.sh": files["rank.sh"].content.decode()}


def compare(request: pytest.FixtureRequest, name: str, text: str) -> None:
    path = HERE / name
    if request.config.getoption("--update-golden"):
        path.write_text(text)
        return
    accepted = path.read_text() if path.exists() else ""
    lines = difflib.unified_diff(
        accepted.splitlines(), text.splitlines(), f"accepted/{name}", f"now/{name}", lineterm=""
    )
    difference = "\n".join(lines)
    assert not difference, f"{difference}\nif this is meant: make golden"


@pytest.mark.parametrize("case", CASES)
def test_golden__scripts(request, case):
    for name, text in scripts(case).items():
        compare(request, name, text)


def test_golden__job_schema(request):
    compare(request, "job.schema.json", schema_text())


def test_golden__cli_help(request, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    compare(request, "cli-help.txt", cli_help())


def cli_help() -> str:
    """Help of the program and of every sub-command."""
    root = get_command(app)
    pages = [_page(root, "hpctrain", None)]
    with root.make_context("hpctrain", [], resilient_parsing=True) as context:
        for name, command in sorted(root.commands.items()):
            pages.append(_page(command, name, context))
    return "\n".join(pages)


def _page(command, name, parent) -> str:
    with command.make_context(name, [], parent=parent, resilient_parsing=True) as context:
        return re.sub(r"[ \t]+$", "", command.get_help(context), flags=re.MULTILINE) + "\n"


@requires(shellcheck=True)
@pytest.mark.parametrize("case", CASES)
def test_golden__scripts_pass_bash_and_shellcheck(tmp_path, case):
    for name, text in scripts(case).items():
        path = tmp_path / name
        path.write_text(text)
        syntax = ["sh", "-n"] if name.endswith("rank.sh") else ["bash", "-n"]
        for command in ([*syntax, str(path)], [str(find_shellcheck()), str(path)]):
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@pytest.mark.parametrize("case", ["mantle.cobalt", "mantle.thetagpu"])
def test_golden__cobalt_reads_every_directive(case):
    """The rules of Cobalt's qsub.py (validate_args): unbroken from line 2, split at blanks."""
    lines = scripts(case)[f"{case}.sh"].splitlines()
    assert lines[0].startswith("#!")
    end = next(i for i, line in enumerate(lines[1:], 1) if not line.startswith("#COBALT "))
    assert not any("#COBALT" in line for line in lines[end:])
    words = " ".join(line.removeprefix("#COBALT ") for line in lines[1:end]).split()
    options = [word for word in words if word.startswith("-")]
    assert len(words) == 2 * len(options)
    assert len(set(options)) == len(options)
    assert {"-n", "-t"} <= set(options)


@pytest.mark.parametrize("case", CASES)
def test_golden__no_script_needs_hpctrain_where_it_is_submitted(case):
    text = scripts(case)[f"{case}.sh"]
    commands = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert not any(re.match(r"\s*hpctrain\b", line) for line in commands)


def test_golden__schema_is_json():
    assert json.loads((HERE / "job.schema.json").read_text())["title"] == "Job"
