"""Documentation that says what the code does: generated pages, links, commands, YAML."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from hpctrain.cli.app import app
from hpctrain.config.document import parse
from hpctrain.config.job import Job
from hpctrain.config.layers import Layers
from hpctrain.config.site import Site
from hpctrain.errors import ConfigError
from hpctrain.registry import TASKS
from tests.jobs import REPO, mantle

DOCS = REPO / "docs"
PAGES = sorted([*REPO.glob("*.md"), *DOCS.rglob("*.md"), *(REPO / "containers").glob("*.md")])
GENERATED = DOCS / "reference"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def name_of(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def blocks(*languages: str) -> list:
    """Fenced blocks as test parameters: page and text."""
    return [
        pytest.param(text, id=f"{name_of(page)}:{number}")
        for page in PAGES
        for number, (language, text) in enumerate(FENCE.findall(page.read_text()))
        if language in languages
    ]


def commands(text: str) -> list[list[str]]:
    """Words of each command; of a console session only the lines behind a prompt."""
    lines = text.replace("\\\n", " ").splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    found = []
    for line in lines:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word in (";", "&&", "||", "|"):
                found.append(words)
                words = []
            else:
                words.append(word)
    return [words[: words.index(">")] if ">" in words else words for words in found if words]


@pytest.fixture
def generate(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("generate")


def test_generate__committed_pages_are_what_the_code_says():
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [sys.executable, str(DOCS / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nif this is meant: make docs"


def test_generate__check_names_a_page_that_differs(generate, tmp_path, capsys):
    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0
    (tmp_path / "job.md").write_text("old")
    (tmp_path / "cli.md").unlink()
    assert generate.main(["--check"], tmp_path) == 1
    assert "cli.md, job.md differs" in capsys.readouterr().out
    assert (tmp_path / "job.md").read_text() == "old"


def test_generate__every_key_of_a_job_has_a_meaning(generate):
    rows = [line for line in generate.page_text("job.md").splitlines() if line.startswith("| `")]
    assert len(rows) > 80
    assert not [line for line in rows if not line.removesuffix(" |").split(" | ")[-1].strip()]


def test_generate__a_block_at_two_places_is_described_once(generate):
    page = generate.page_text("job.md")
    assert page.count("## train.optimizer\n") == 1
    assert page.count("## train.optimizer (task: field_gan)\n") == 1, "another block of that name"
    assert "Also at `train.adversary.optimizer`." in page
    assert "| `betas` | list of 2 (number) | `[0.0, 0.9]` |" in page


def test_environment__page_has_every_variable_of_the_code():
    table = yaml.safe_load((DOCS / "environment.yaml").read_text())
    known = set(re.findall(r"\w+", str(table)))
    sources = [
        *(REPO / "hpctrain").rglob("*.py"),
        *(REPO / "templates").rglob("*.j2"),
        *(REPO / "tests").glob("*.py"),
    ]
    used = {
        word
        for path in sources
        for word in re.findall(r"\bHPCTRAIN_[A-Z_]*[A-Z]\b", path.read_text())
    }
    for path in (REPO / "templates").rglob("*.j2"):
        for line in re.findall(r"^\s*export (.*)$", path.read_text(), re.MULTILINE):
            used |= set(re.findall(r"\b([A-Za-z_]+)=", line))
    assert len(used) > 20
    assert not used - known, "add them to docs/environment.yaml, then: make docs"
    assert not {k for k in known if k.startswith("HPCTRAIN_")} - used


def test_launch__table_has_the_variables_of_rank_sh():
    page = (DOCS / "explanation" / "launch.md").read_text()
    script = (REPO / "templates" / "schedulers" / "rank.sh.j2").read_text()
    lead = r"\b(?:OMPI|MV2|PMI|PALS|MPI|JSM|SLURM|ALPS)_[A-Z_]+[A-Z]\b"
    read = set(re.findall(rf"\$\{{?({lead})", script))
    assert len(read) > 20
    # which node a Slurm task is on is only needed for its number of neighbours
    assert read - {"SLURM_NODEID"} == set(re.findall(rf"`({lead})`", page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links__resolve(page):
    text = re.sub(FENCE, "", page.read_text())
    for target in LINK.findall(text):
        if re.match(r"[a-z]+://", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{name_of(page)}: no file for link {target}"
        assert path.is_relative_to(REPO), f"{name_of(page)}: {target} leaves the repository"
        if anchor:
            assert anchor in anchors(path), f"{name_of(page)}: no heading for link {target}"


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, by GitHub's rule."""
    titles = HEADING.findall(re.sub(FENCE, "", page.read_text()))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links__every_page_is_in_the_index():
    index = DOCS / "README.md"
    linked = {(DOCS / t.partition("#")[0]).resolve() for t in LINK.findall(index.read_text())}
    lint = DOCS / "reference" / "lint"
    linked |= {lint / t for t in LINK.findall((lint / "README.md").read_text())}
    assert set(DOCS.rglob("*.md")) - linked == {index}


@pytest.mark.parametrize("text", blocks("sh", "console"))
def test_commands__exist_with_their_options(text):
    for words in commands(text):
        if words[0] == "hpctrain":
            parse_command(words[1:])
        if words[0] == "make":
            targets = re.findall(r"^([a-z]+):", (REPO / "Makefile").read_text(), re.MULTILINE)
            assert not [w for w in words[1:] if "=" not in w and w not in targets], words


def parse_command(words: list[str]) -> None:
    """Let typer parse a command without running it; check the values of --set as well."""
    command, path = get_command(app), ["hpctrain"]
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command, path, words = command.commands[words[0]], [*path, words[0]], words[1:]
    assert not hasattr(command, "commands"), f"no such command: {[*path, *words]}"
    with command.make_context(" ".join(path), list(words)) as context:
        settings = context.params.get("overrides")
    if settings:
        mantle("local", *settings)


@pytest.mark.parametrize(
    "line",
    [
        "hpctrain rendr mantle.yaml",
        "hpctrain render --fast mantle.yaml",
        "$ hpctrain status && hpctrain site sho local\nnot a command",
        "hpctrain render mantle.yaml --set train.epoch=3",
    ],
)
def test_commands__wrong_ones_are_found(line):
    with pytest.raises(
        Exception, match="(?i)no such|unknown key"
    ):  # typer's, ours, or an assertion
        test_commands__exist_with_their_options(line)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml__is_a_valid_job_or_site(text):
    validate_yaml(text)


def validate_yaml(text: str) -> None:
    """A whole file, or part of one that is laid over a shipped file."""
    document = parse(text, "block")
    is_site = "scheduler" in document.value or not set(document.value) <= set(Job.model_fields)
    schema, base = (Site, "templates/sites/local.yaml") if is_site else (Job, "jobs/mantle.yaml")
    task = (document.value.get("train") or {}).get("task")
    own = {"field_gan": "cosmogan", "scroll_vae": "scroll", "ink": "ink"}
    base = f"jobs/{own[task]}.yaml" if task in own else base
    layers = Layers()
    layers.add(parse((REPO / base).read_text(), base))
    layers.add(document)
    layers.validate(schema)


@pytest.mark.parametrize(
    "text",
    ["train: {epoch: 3}", "resources: {walltime: 1:00:00}", "scheduler: lsf", "frobnicate: 1"],
)
def test_yaml__wrong_blocks_are_found(text):
    with pytest.raises(ConfigError):
        validate_yaml(text)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages__are_short_and_begin_with_a_title(page):
    lines = page.read_text().splitlines()
    assert lines[0].startswith("# ")
    if page.parent != GENERATED:
        assert len(lines) <= (120 if page == REPO / "README.md" else 150)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages__name_only_files_that_exist(page):
    text = re.sub(FENCE, "", page.read_text())
    for file in re.findall(r"`([\w-]+(?:/[\w.-]+)+\.(?:py|j2|sh))`", text):
        if not file.startswith("jobs/"):
            assert (REPO / file).exists() or (REPO / "hpctrain" / file).exists(), file


@pytest.mark.parametrize("task", TASKS)
def test_pages__every_task_has_one(task):
    assert (DOCS / "tasks" / f"{task.replace('_', '-')}.md").is_file()


def test_pages__images_are_small():
    images = [p for p in DOCS.rglob("*") if p.suffix in (".png", ".svg", ".jpg")]
    assert images
    assert max(path.stat().st_size for path in images) < 300_000
