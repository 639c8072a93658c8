"""What PBS says of the queue: open, started, and how long and how large its jobs may be."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Job
from hpctrain.config.walltime import format_walltime
from hpctrain.preflight.ask import SilentError, ask


def pbs_findings(job: Job) -> Iterator[Finding]:
    """Ask qstat about the job's queue; PBS has no dry run of a submission."""
    queue = job.resources.queue
    if queue is None:
        return
    where = f"qstat -Qf {queue}"
    try:
        answer = ask(["qstat", "-Q", "-f", "-F", "json", queue])
    except SilentError as e:
        yield warning(where, str(e))
        return
    if answer is None:
        yield note(where, "there is no qstat here; check again on a login node of this machine")
    elif answer.code:
        severity = error if "unknown queue" in answer.words.lower() else warning
        yield severity(where, f"PBS says: {answer.words}")
    else:
        try:
            facts = json.loads(answer.out)["Queue"][queue]
        except (ValueError, LookupError, TypeError):
            yield warning(where, f"qstat answered what is no JSON of a queue: {answer.words[:80]}")
            return
        yield from queue_facts(job, queue, facts if isinstance(facts, dict) else {})


def queue_facts(job: Job, queue: str, facts: dict[str, Any]) -> Iterator[Finding]:
    """Compare a job with a queue as the server describes it."""
    where, ask_for = f"qstat -Qf {queue}", job.resources
    if _is_off(facts.get("enabled")):
        yield error(where, f"queue {queue} takes no jobs now; choose another, or wait")
    if _is_off(facts.get("started")):
        yield warning(where, f"queue {queue} starts no jobs now; the job would wait")
    limits: tuple[tuple[str, Callable[[int, int], bool], str], ...] = (
        ("resources_max", operator.gt, "at most"),
        ("resources_min", operator.lt, "at least"),
    )
    for limit, is_beyond, words in limits:
        table = facts.get(limit)
        bounds = table if isinstance(table, dict) else {}
        time = _seconds(bounds.get("walltime"))
        if time is not None and is_beyond(ask_for.walltime, time):
            text = f"found {format_walltime(ask_for.walltime)}; queue {queue} allows"
            yield error("resources.walltime", f"{text} {format_walltime(time)} {words} (qstat)")
        nodes = _seconds(bounds.get("nodect"))
        if nodes is not None and is_beyond(ask_for.nodes, nodes):
            text = f"found {ask_for.nodes}; queue {queue} allows {nodes} {words} (qstat)"
            yield error("resources.nodes", text)


def _is_off(value: object) -> bool:
    return str(value).lower() == "false"


def _seconds(value: object) -> int | None:
    """A time or a count as PBS writes it: 3600, "3600" or "01:00:00"; None: neither."""
    text = str(value)
    if text.isdigit():
        return int(text)
    match = re.fullmatch(r"(?:(\d+):)?(\d+):(\d\d)", text)
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds
