"""The text of a new site file: a shipped one, filled with what the scheduler of this host says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from hpctrain.config.walltime import format_walltime
from hpctrain.schedulers.machine import LiveQueue, Machine

_KEY = re.compile(r"^(\w+):", re.MULTILINE)
_BLOCK = r"^{}:.*\n(?:[ #].*\n|\n)*"

_HEAD = """\
# Begun with `hpctrain site new` on {today}. Read it once, and mend what is wrong or missing: every
# key is in the site reference, and `hpctrain site check` compares the file with the scheduler.
"""


def site_text(base: str, name: str, host: str, machine: Machine | None, today: str) -> str:
    """A site file.

    Args:
        base: text of the site to start from; what it says is kept.
        name: of the new site.
        host: where the scheduler was asked.
        machine: its answer; None: it was not asked.
        today: date of the answer.
    """
    text = re.sub(r"\A(?:#.*\n)+", "", base.rstrip("\n") + "\n")
    text = re.sub(r"^name:.*$", lambda _: f"name: {_word(name)}", text, count=1, flags=re.MULTILINE)
    text = re.sub(
        r"^title: (a .*)$",
        lambda match: f"title: {_word(f'{name}, {match[1]}')}",
        text,
        flags=re.MULTILINE,
    )
    text = re.sub(_BLOCK.format("hostnames"), "", text, count=1, flags=re.MULTILINE)
    text = _HEAD.format(today=today) + text
    if "hostnames" not in _KEY.findall(text):
        text = _after_title(text, '# hostnames: ["login*.mycluster.org"]   # for `site: auto`\n')
    return text if machine is None else _with_facts(text, host, machine, today)


def _after_title(text: str, line: str) -> str:
    return re.sub(r"^title:.*\n", lambda match: match[0] + line, text, count=1, flags=re.MULTILINE)


def _with_facts(text: str, host: str, machine: Machine, today: str) -> str:
    have = set(_KEY.findall(text))
    facts = [line for key, lines in _facts(machine) if key not in have for line in lines]
    if not facts:
        return text
    source = [
        "  - fact: what stands between the two comments",
        f"    source: {json.dumps(f'{machine.commands} on {host}')}",
        f"    date: {json.dumps(today)}",
    ]
    begin, end = f"# What {machine.commands} said on {host}:", "# End of what they said."
    body, mark, sources = text.partition("sources:\n")
    lines = [begin, *facts, end, *([mark + sources.rstrip("\n")] if mark else ["sources:"])]
    return "\n".join([body.rstrip("\n"), *lines, *source]) + "\n"


def _facts(machine: Machine) -> Iterator[tuple[str, list[str]]]:
    """Keys of a site file with their lines."""
    is_usual = [queue for queue in machine.queues if queue.is_default]
    usual = (is_usual or list(machine.queues) or [LiveQueue("")])[0]
    sizes = [q.num_nodes for q in machine.queues if q.num_nodes]
    if sizes:
        yield "max_nodes", [f"max_nodes: {max(sizes)}"]
    for key, value in (("cpus_per_node", usual.cpus), ("gpus_per_node", usual.gpus)):
        unknown = f"# {key}: nodes differ; say what jobs in your queue get"
        yield key, [unknown if value is None else f"{key}: {value}"]
    yield "queues", ["queues:", *(_queue_line(queue) for queue in machine.queues)]
    rules = [line for queue in machine.queues for line in _rules(queue, usual, machine.max_array)]
    if rules:
        yield "rules", ["rules:", *rules]
    if is_usual:
        yield "defaults", ["defaults:", f"  resources: {{queue: {_word(usual.name)}}}"]


def _queue_line(queue: LiveQueue) -> str:
    low, high = queue.nodes[0], queue.nodes[1] or queue.num_nodes
    if queue.walltime is None or high is None:
        limits, note = "[]", "its limits are not told"
    else:
        time = format_walltime(queue.walltime)
        limits, note = f'[{{nodes: [{low}, {max(low, high)}], walltime: "{time}"}}]', ""
    if not queue.is_open:
        note = "takes no jobs now"
    return f"  {_word(queue.name)}: {limits}{f'   # {note}' if note else ''}"


def _rules(queue: LiveQueue, usual: LiveQueue, max_array: int | None) -> Iterable[str]:
    own = {"cpus_per_node": (queue.cpus, usual.cpus), "gpus_per_node": (queue.gpus, usual.gpus)}
    parts = [f"{key}: {a}" for key, (a, b) in own.items() if a is not None and a != b]
    limits = {"max_queued": queue.max_queued, "max_running": queue.max_running}
    known = {"max_array": max_array, **limits}.items()
    parts += [f"{key}: {value}" for key, value in known if value]
    return [f"  {_word(queue.name)}: {{{', '.join(parts)}}}"] if parts else []


def _word(text: str) -> str:
    """A text that YAML reads as one."""
    is_plain = re.fullmatch(r"[A-Za-z_][\w.-]*", text, re.ASCII)
    is_taken = text.lower() in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    return text if is_plain and not is_taken else json.dumps(text)
