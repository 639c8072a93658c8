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
from tests.golden.cases import CASES, SITES, resolved, scripts
from tests.requires import find_shellcheck, requires

HERE = Path(__file__).parent


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


def test_golden__no_file_is_left_over():
    named = {name for case in CASES for name in scripts(case)}
    assert {path.name for path in HERE.glob("*.sh")} == named


def all_scripts(folder: Path) -> list[Path]:
    """All texts as files; those that differ only in names are there once."""
    found: dict[str, Path] = {}
    for case in CASES:
        for name, text in scripts(case).items():
            (folder / name).write_text(text)
            lines = re.sub(r"^(#[A-Z]|# |run=|deadline=).*$", "", text, flags=re.MULTILINE)
            plain = re.sub(rf"\b{re.escape(resolved(case).job.name)}\b", "NAME", lines)
            found.setdefault(plain, folder / name)
    return list(found.values())


def test_golden__scripts_are_shell(tmp_path):
    for path in all_scripts(tmp_path):
        shell = "sh" if path.name.startswith("rank.") else "bash"
        done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True)
        assert done.returncode == 0, f"{path.name}: {done.stderr}"


@requires(shellcheck=True)
def test_golden__scripts_pass_shellcheck(tmp_path):
    command = [str(find_shellcheck()), *map(str, all_scripts(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_golden__the_gpu_mask_gets_into_an_image_that_is_handed_nothing_else():
    mask = resolved("mantle.podman-hpc").site.mask_variable
    text = " ".join(scripts("mantle.podman-hpc")["mantle.podman-hpc.sh"].split())
    assert f"--env {mask} " in text
    assert f"-x {mask}" not in text


COBALT = [case for case in CASES if resolved(case).site.scheduler == "cobalt"]


@pytest.mark.parametrize("case", COBALT)
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
def test_golden__no_directive_is_lost_or_given_twice(case):
    """Directives end at the first other line, and of two equal ones PBS takes the first."""
    lines = scripts(case)[f"{case}.sh"].splitlines()
    tagged = [i for i, line in enumerate(lines) if re.match(r"\s*#(PBS|SBATCH|COBALT)", line)]
    assert tagged == list(range(1, 1 + len(tagged)))
    options = [re.match(r"#\w+ (-l \w+|-\w|--[\w-]+)", lines[i])[1] for i in tagged]
    assert len(set(options)) == len(options)


@pytest.mark.parametrize("site", SITES)
def test_golden__no_script_has_what_its_site_refuses(site):
    found = resolved(f"mantle.{site}").site
    text = scripts(f"mantle.{site}")[f"mantle.{site}.sh"]
    directives = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert not [w for w in found.directives.forbidden if any(f" {w}" in d for d in directives)]


@pytest.mark.parametrize("case", CASES)
def test_golden__no_script_needs_hpctrain_where_it_is_submitted(case):
    text = scripts(case)[f"{case}.sh"]
    commands = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert not any(re.match(r"\s*hpctrain\b", line) for line in commands)


def test_golden__schema_is_json():
    assert json.loads((HERE / "job.schema.json").read_text())["title"] == "Job"
