"""`lint_text`: one script, all rules."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpctrain.directives import find_schedulers
from hpctrain.directives.model import SchedulerName
from hpctrain.errors import ConfigError
from hpctrain.lint.script import Script
from hpctrain.lint.table import RULES, Severity

if TYPE_CHECKING:
    from hpctrain.config.site import Site


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong in a script."""

    name: str
    """The script, as it was called."""
    line: int
    code: str
    severity: Severity
    text: str
    """What is wrong; what to do."""

    def __str__(self) -> str:
        """As it is printed."""
        return f"{self.name}:{self.line}: {self.code} {self.text}"


def lint_text(
    text: str,
    name: str,
    scheduler: str | None = None,
    site: Site | None = None,
    is_executable: bool | None = None,
    has_folder: Callable[[str], bool] | None = None,
) -> list[Finding]:
    """Everything that is wrong in a script, by line.

    Args:
        text: the script, line ends as they are.
        name: what to call it in the findings.
        scheduler: pbs, slurm, cobalt or local; None: the site's, or whose directives it has.
        site: machine whose own rules count, too.
        is_executable: of the file; None: not known.
        has_folder: whether a folder is there, seen from the folder of submission; None: not known.
    """
    script = Script(
        text.replace("\r\n", "\n"),
        _scheduler(text, scheduler or (site.scheduler if site else None)),
        site,
        is_executable,
        has_folder,
        has_crlf="\r\n" in text,
    )
    found = {
        Finding(name, line, rule.code, rule.severity, sentence)
        for rule in RULES
        if rule.fits(script.scheduler)
        for line, sentence in rule.check(script)
    }
    return sorted(found, key=lambda finding: (finding.line, finding.code, finding.text))


def _scheduler(text: str, given: str | None) -> SchedulerName | None:
    known: dict[str, SchedulerName] = {"pbs": "pbs", "slurm": "slurm", "cobalt": "cobalt"}
    if given is not None:
        return known.get(given)
    return next(iter(find_schedulers(text)), None)


def keep_codes(
    findings: Collection[Finding], select: Collection[str], ignore: Collection[str]
) -> list[Finding]:
    """Those whose code begins with one of `select` (if any) and with none of `ignore`.

    Raises:
        ConfigError: no rule has a code that begins so.
    """
    codes = [rule.code for rule in RULES]
    for word in [*select, *ignore]:
        if not word or not any(code.startswith(word) for code in codes):
            raise ConfigError(
                f"found {word!r}; allowed: codes of rules, {codes[0]} to {codes[-1]}, or how they "
                "begin, such as HT00; `hpctrain lint --rules` lists them"
            )
    return [
        finding
        for finding in findings
        if (not select or finding.code.startswith(tuple(select)))
        and not finding.code.startswith(tuple(ignore))
    ]
