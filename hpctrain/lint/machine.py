"""What one machine wants and refuses."""

from __future__ import annotations

import re

from hpctrain.directives import find_schedulers
from hpctrain.directives.model import Directive
from hpctrain.directives.written import PREFIXES
from hpctrain.lint.script import Finds, Script

_OPTIONS = {
    "account": {"pbs": ["-A"], "slurm": ["--account"], "cobalt": ["--project"]},
    "queue": {"pbs": ["-q"], "slurm": ["--partition", "--qos"], "cobalt": ["--queue"]},
    "filesystems": {"pbs": ["-l filesystems"], "slurm": ["--licenses"], "cobalt": ["--attrs"]},
}


def missing(script: Script) -> Finds:
    """HT090."""
    if script.site is None or script.scheduler is None:
        return
    for what in script.site.directives.required:
        options = _OPTIONS[what][script.scheduler]
        if not any(_says(what, d) for d in script.options(*options)):
            line = script.reading.read[0].line if script.reading.read else 1
            text = f"{script.site.name} refuses a job that names no {what}"
            yield line, f"{text}; add {_example(what, options[0], script)}"


def _says(what: str, directive: Directive) -> bool:
    if what == "filesystems" and directive.option == "--attrs":
        return "filesystems=" in (directive.value or "")
    return bool(directive.value)


def _example(what: str, option: str, script: Script) -> str:
    assert script.site is not None
    if what != "filesystems":
        return f"{option}{'=' if option.startswith('--') else ' '}NAME"
    names = script.site.directives.filesystems_separator.join(script.site.filesystems or ["NAMES"])
    return f"{option}{' filesystems' if option == '--attrs' else ''}={names}"


def forbidden(script: Script) -> Finds:
    """HT091."""
    if script.site is None:
        return
    for rule in script.site.directives.forbidden:
        for directive in script.reading.read:
            if _fits(rule, directive):
                text = f"{script.site.name} refuses {directive.option}"
                yield directive.line, f"{text}; take it out"


def _fits(rule: str, directive: Directive) -> bool:
    """`--gres` fits any value, `--gres=gpu` and `-l select=1:mem` only values that begin so."""
    option, _, value = rule.strip().partition("=")
    words = re.split(r"\s+", option)
    if len(words) == 2 and words[0] not in ("-l", "-W"):
        option, value = words
    return directive.option == option and (directive.value or "").startswith(value)


def other_scheduler(script: Script) -> Finds:
    """HT092."""
    found = find_schedulers(script.text)
    if found and script.scheduler not in found:
        mark, ours = PREFIXES[found[0]].strip(), PREFIXES[script.reading.scheduler].strip()
        to = f"hpctrain convert --to {script.scheduler}"
        text = f"the script has {mark} lines and no {ours} line, so nothing is asked for"
        yield 1, f"{text}; {to} translates it"
