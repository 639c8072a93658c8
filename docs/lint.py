"""Write what docs/reference/lint/ takes from the table of rules; `--check` only compares.

python docs/lint.py            the heads of all pages, and the index
python docs/lint.py --check    exit code 1 if one of them differs from the table

The pages themselves are the source of everything below their heads: their examples are tests.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from hpctrain.lint import RULES, Rule

FOLDER = Path(__file__).resolve().parent / "reference" / "lint"
TITLES = {"pbs": "PBS", "slurm": "Slurm", "cobalt": "Cobalt", "any": "any script"}
_HEAD = re.compile(r"\A# HT\d+: .*\n\n.* · .*\n")


def head(rule: Rule) -> str:
    """Title and the line below it."""
    names = ", ".join(TITLES[name] for name in rule.schedulers.split())
    return f"# {rule.code}: {rule.title}\n\n{rule.severity.capitalize()} · {names}\n"


def index() -> str:
    """The page that lists all rules."""
    lines = [
        "# Look up a code of `hpctrain lint`",
        "",
        "<!-- written by docs/lint.py from hpctrain/lint/table.py -->",
        "",
        "An error would be ignored, refused or misread by the scheduler; a warning may be meant.",
        "[Check a script](../../how-to/check-a-script.md) says how to use it.",
        "",
        "| code | what | severity | scripts for |",
        "|---|---|---|---|",
    ]
    for rule in RULES:
        names = ", ".join(TITLES[name] for name in rule.schedulers.split())
        link = f"[{rule.code}]({rule.code}.md)"
        lines.append(f"| {link} | {rule.title} | {rule.severity} | {names} |")
    return "\n".join(lines) + "\n"


def wanted() -> dict[Path, str]:
    """All pages as they should be.

    Raises:
        SystemExit: a rule has no page, or a page has no rule.
    """
    pages = {FOLDER / "README.md": index()}
    for rule in RULES:
        path = FOLDER / f"{rule.code}.md"
        if not path.is_file():
            sys.exit(f"{path}: is missing; write it, beginning with {head(rule)!r}")
        pages[path] = _HEAD.sub(lambda _, rule=rule: head(rule), path.read_text(encoding="utf-8"))
    unknown = set(FOLDER.glob("*.md")) - set(pages)
    if unknown:
        sys.exit(f"no rule has the page {', '.join(sorted(p.name for p in unknown))}")
    return pages


def main(argv: list[str] | None = None) -> int:
    """Write or compare; returns the exit code."""
    parser = argparse.ArgumentParser(description="Heads and index of docs/reference/lint/.")
    parser.add_argument("--check", action="store_true", help="compare only")
    is_check = parser.parse_args(argv).check
    stale = [
        path
        for path, text in wanted().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if not is_check:
        for path in stale:
            path.write_text(wanted()[path], encoding="utf-8")
    names = ", ".join(path.name for path in stale) or "nothing"
    print(f"lint: {names} {'differs' if is_check else 'written'}")
    return 1 if is_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
