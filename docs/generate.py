"""Write the pages of docs/reference/ from the code; `--check` only compares.

python docs/generate.py            (make docs)
python docs/generate.py --check    exit code 1 if a page differs from the code
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from images_page import images_page
from schema_tables import one_line, row, schema_tables, table
from sites import sites_page
from template_page import templates_page
from typer.main import get_command

from hpctrain import errors
from hpctrain.cli.app import app
from hpctrain.config.index_rule import Rule
from hpctrain.config.job import Job
from hpctrain.config.read_rule import rule_names
from hpctrain.config.site import Site
from hpctrain.index.reasons import REASONS

HERE = Path(__file__).resolve().parent
REFERENCE = HERE / "reference"
ENVIRONMENT = HERE / "environment.yaml"


def cli_page() -> list[str]:
    """Every sub-command with its arguments and options."""
    root = get_command(app)
    lines = [
        str(root.help),
        "",
        "`hpctrain COMMAND --help` prints what stands here. An error ends with one of the",
        "[exit codes](errors.md); `--debug`, anywhere on the line, shows its traceback.",
        "",
        *_command("hpctrain", root, "COMMAND"),
    ]
    for name, command in sorted(_leaves(root)):
        lines += [f"## hpctrain {name}", ""]
        for paragraph in (command.help or "").split("\n\n"):
            lines += [one_line(paragraph), ""]
        lines += _command(f"hpctrain {name}", command)
    return lines


def _leaves(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _command(usage: str, command: Any, last: str = "") -> list[str]:
    shown = [p for p in command.params if not p.hidden]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    words = ["[OPTIONS]"] if options else []
    words += [_metavar(p) if p.required else f"[{_metavar(p)}]" for p in arguments]
    lines = ["    " + " ".join(filter(None, [usage, *words, last])), ""]
    if shown:
        lines += table("word", "meaning", "default")
        lines += [row(f"`{_words(p)}`", p.help or "", _default(p)) for p in arguments + options]
        lines.append("")
    return lines


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _words(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return _metavar(parameter)
    names = ", ".join(sorted(parameter.opts, key=len, reverse=True))
    if parameter.is_flag:
        return names
    value = parameter.metavar or max(parameter.opts, key=len).lstrip("-").upper()
    return f"{names} {value}{' ...' if parameter.multiple else ''}"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    has_none = parameter.default is None or parameter.default is False
    return "" if has_none else f"`{parameter.default}`"


def job_page() -> list[str]:
    """Every key of a job file."""
    return [
        "A job file is YAML; unknown keys are errors. A value comes from the first of these that",
        "gives it: `--set key.path=value`, the job file, `defaults:` of the [site](site.md), the",
        "default below. `hpctrain show JOB` prints all values and who gave each; `hpctrain schema`",
        "prints this page as JSON schema.",
        "",
        "A default beside a block holds where the whole block is left out; a block that is written",
        "in part takes the rest from its own table.",
        "",
        *schema_tables(Job, "job file"),
    ]


def site_page() -> list[str]:
    """Every key of a site file."""
    return [
        "A site file describes one machine in YAML; unknown keys are errors. [Add a",
        "site](../how-to/add-a-site.md) says how to write one, [Sites](sites.md) shows those that",
        "are shipped.",
        "",
        *schema_tables(Site, "site file"),
    ]


def rule_page() -> list[str]:
    """Every key of a rule of an index."""
    return [
        "A rule says how files become samples; unknown keys are errors. [Index my",
        "data](../how-to/index-my-data.md) says how to write one. Shipped rules:",
        *(f"`{name}`{'.' if name == rule_names()[-1] else ','}" for name in rule_names()),
        "",
        *schema_tables(Rule, "rule file"),
    ]


def reasons_page() -> list[str]:
    """Every code in the column `reason` of an index."""
    return [
        "A sample whose `status` is bad has one of these or more in the column `reason`, joined by",
        "`; `: the code, the modality where it is about one, and what was found. [Index my",
        "data](../how-to/index-my-data.md) says how to find and move them.",
        "",
        *table("code", "meaning"),
        *(row(f"`{code}`", text) for code, text in REASONS.items()),
        "",
        "In the index of a run a sample may have the `status` left_out, with the key of the job",
        "file that leaves it out.",
    ]


def errors_page() -> list[str]:
    """Exit codes, and the exceptions behind them."""
    unforeseen = "Not foreseen: a fault of hpctrain, of a library or of the user's own code."
    stopped = "The training saved and left before its end, and wants to be started again."
    classes: dict[int, list[type[errors.HpctrainError]]] = {}
    for error in _subclasses(errors.HpctrainError):
        classes.setdefault(error.exit_code, []).append(error)
    return [
        "`hpctrain`, the run script and the trainer end with one of these.",
        "",
        *table("code", "meaning", "raised as"),
        row("0", "Done; of a training: all epochs are.", ""),
        row("1", unforeseen, ""),
        *(
            row(
                str(code),
                " ".join(one_line(error.__doc__) for error in group),
                ", ".join(f"`{error.__name__}`" for error in group),
            )
            for code, group in sorted(classes.items())
        ),
        row(str(errors.EXIT_STOPPED), stopped, ""),
        "",
        "A mistake in the words of the command line itself is code 2, too. A code above 128 comes",
        "from a signal that the launcher or the scheduler sent. Code 75 is no failure: see",
        "[Stop a run and go on](../how-to/resume-and-stop.md).",
        "",
        "## How to read a message",
        "",
        "    mantle.yaml:47: train.epoch: unknown key 'epoch'; choose from accumulate, ...",
        "",
        "It says where, what was found, what is allowed, and what to do, in this order. All",
        "mistakes of a job file are listed at once. A message of a training names rank and host,",
        "as in `[rank 3/8 nid01]`; `hpctrain status` shows that of the first rank that failed.",
    ]


def _subclasses(base: type[errors.HpctrainError]) -> Iterator[type[errors.HpctrainError]]:
    for error in base.__subclasses__():
        yield error
        yield from _subclasses(error)


def environment_page() -> list[str]:
    """Every variable that is set or read."""
    lines = [
        "What hpctrain sets and reads. `launch.env` of the job and `env` of the site add more;",
        "`HPCTRAIN_*` and the rank variables cannot be set there. [How ranks are",
        "started](../explanation/launch.md) lists the launchers' own variables.",
        "",
    ]
    for title, rows in yaml.safe_load(ENVIRONMENT.read_text(encoding="utf-8")).items():
        lines += [f"## {title}", "", *table("variable", "meaning")]
        lines += [*(row(f"`{name}`", text) for name, text in rows.items()), ""]
    return lines


PAGES = {
    "cli.md": ("Look up a command", cli_page),
    "job.md": ("Look up a key of a job file", job_page),
    "site.md": ("Look up a key of a site file", site_page),
    "images.md": ("Look up an image", images_page),
    "sites.md": ("Look up a machine", sites_page),
    "index-rule.md": ("Look up a rule of an index", rule_page),
    "reasons.md": ("Look up why a sample is bad", reasons_page),
    "errors.md": ("Look up an exit code", errors_page),
    "environment.md": ("Look up an environment variable", environment_page),
    "templates.md": ("Look up a template variable", templates_page),
}
"""File name to title and content."""


def page_text(name: str) -> str:
    """A page as it should be."""
    title, make = PAGES[name]
    note = "<!-- written by docs/generate.py; change the code, then `make docs` -->"
    return "\n".join([f"# {title}", "", note, "", *make()]).rstrip() + "\n"


def main(argv: list[str] | None = None, folder: Path = REFERENCE) -> int:
    """Write or compare all pages; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/reference/ from the code.")
    parser.add_argument("--check", action="store_true", help="compare only")
    is_check = parser.parse_args(argv).check
    stale = []
    for name in PAGES:
        path, text = folder / name, page_text(name)
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not is_check:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    print(f"{folder.name}: {', '.join(stale) or 'nothing'} {'differs' if is_check else 'written'}")
    return 1 if is_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
