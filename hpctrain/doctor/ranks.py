"""What came of the start of some ranks: do they know each other, and where each one is."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from hpctrain.doctor.launch import Ranks
from hpctrain.doctor.plan import Plan
from hpctrain.doctor.secret import cut
from hpctrain.doctor.topic import Topic
from hpctrain.schedulers.symptoms import DOCTOR, find_symptom

Notes = Sequence[dict[str, Any]]

_AGREE = "the launcher's PMI and the program's MPI must fit: see the topics mpi and pmi above"
_SHOWN = 4


def launch_topic(ranks: Ranks, plan: Plan, program: str) -> Topic:
    """How the start went.

    Args:
        ranks: what came of it.
        plan: what was asked for.
        program: the launcher, by name.
    """
    notes, outcome = ranks.notes, ranks.outcome
    topic = Topic("launch", facts={"code": outcome.code, "seconds": round(outcome.seconds, 2)})
    topic.facts |= {"asked": plan.job.total_ranks, "ranks": notes, "said": outcome.words[-20:]}
    if outcome.code is None:
        _late(topic, ranks, plan, program)
    elif outcome.code:
        _failed(topic, ranks, plan, program)
    strangers = _world(topic, notes, plan)
    if not strangers and outcome.code == 0:
        how = notes[0].get("comm", "") if notes else ""
        hosts = sorted({note["host"] for note in notes})
        topic.ok(
            "ranks",
            f"{plan.shape} by {program} on {', '.join(hosts[:_SHOWN])} in {outcome.seconds:.1f} s, "
            f"comm {how}",
        )
        _placement(topic, notes, plan)
    _libraries(topic, notes)
    _versions(topic, notes)
    _cores(topic, notes)
    return topic


def _late(topic: Topic, ranks: Ranks, plan: Plan, program: str) -> None:
    """The launcher had to be ended."""
    stuck = ", and cannot be ended" if ranks.outcome.is_stuck else ", and was ended"
    stages = _stages([note for note in ranks.notes if note["stage"] != "done"])
    if stages:
        where, remedy = f"; {stages}", "look at that rank's node and network; then " + _AGREE
    elif ranks.notes:
        where, remedy = "; all ranks are through", "the launcher does not notice their end"
    else:
        where = "; no rank began"
        remedy = "the launcher hangs: nodes it cannot reach, a PMI that waits, or no free slots"
    text = f"{program} did not end within {ranks.limit_s:.0f} s{stuck}{where}"
    topic.error("launcher", f"{text}{_said(ranks)}", remedy)


def _failed(topic: Topic, ranks: Ranks, plan: Plan, program: str) -> None:
    code, errors = ranks.outcome.code, Counter(n["error"] for n in ranks.notes if "error" in n)
    for message, count in errors.most_common(3):
        first = next(note for note in ranks.notes if note.get("error") == message)
        who = f"{count} ranks" if count > 1 else f"rank {_number(first)} on {first['host']}"
        topic.error("ranks", f"{who}, {first['stage']}: {message}", "as it says; or " + _AGREE)
    if errors:
        return
    symptom = find_symptom(ranks.outcome.words)
    stages = _stages([note for note in ranks.notes if note["stage"] != "done"])
    where = f"; {stages}" if stages else "" if ranks.notes else "; no rank began"
    text = f"{program} ended with code {code}{where}"
    if symptom is not None:
        line, advice = symptom
        topic.error("launcher", f"{text}: {line}; {advice.cause}", advice.fix.replace(DOCTOR, ""))
    else:
        topic.error("launcher", f"{text}{_said(ranks)}", _AGREE)


def _said(ranks: Ranks) -> str:
    words = [line.strip() for line in ranks.outcome.words if any(c.isalnum() for c in line)]
    return f"; it says: {cut(' / '.join(words[:3]), 300)}" if words else ""


def _stages(notes: Notes) -> str:
    """Where ranks stand: `rank 1 on nid02 opening launch.comm: auto`."""
    groups: dict[str, list[str]] = defaultdict(list)
    for note in notes:
        groups[note["stage"]].append(f"rank {_number(note)} on {note['host']}")
    return "; ".join(
        f"{', '.join(who[:_SHOWN])}{' and more' if len(who) > _SHOWN else ''}: {stage}"
        for stage, who in groups.items()
    )


def _number(note: dict[str, Any]) -> str:
    return str(note["environment"].get("HPCTRAIN_RANK", "?"))


def _world(topic: Topic, notes: Notes, plan: Plan) -> bool:
    """Whether the processes do not make one world; says so."""
    total, placed = plan.job.total_ranks, [note for note in notes if "ranks" in note]
    sizes = {note["ranks"]["world_size"] for note in placed}
    numbers = Counter(note["ranks"]["rank"] for note in placed)
    twice = [str(rank) for rank, count in sorted(numbers.items()) if count > 1]
    if sizes and sizes != {total}:
        found = " or ".join(map(str, sorted(sizes)))
        text = f"{len(notes)} processes, and each was told of {found} ranks, not {total}"
        topic.error("world", text, f"they would train {len(notes)} times over; {_AGREE}")
        return True
    if twice:
        text = f"rank {', '.join(twice[:_SHOWN])} was started more than once"
        topic.error("world", text, "two launchers are at work: one inside the other; " + _AGREE)
        return True
    if notes and len(notes) < total:
        missing = [str(rank) for rank in range(total) if rank not in numbers]
        text = f"of {total} ranks {len(notes)} began; missing: {', '.join(missing[:8])}"
        remedy = "see that all nodes are up and see this folder, and that there are slots for all"
        topic.error("world", text, remedy)
        return True
    return False


def _placement(topic: Topic, notes: Notes, plan: Plan) -> None:
    ask, hosts = plan.job.resources, Counter(note["host"] for note in notes)
    if len(hosts) != ask.nodes:
        text = f"asked for {ask.nodes} nodes, ranks run on {len(hosts)} ({', '.join(hosts)})"
        topic.error("nodes", text, "look at how the launcher places ranks (PBS: place=scatter)")
    elif set(hosts.values()) != {ask.ranks_per_node}:
        counts = ", ".join(f"{count} on {host}" for host, count in sorted(hosts.items()))
        text = f"asked for {ask.ranks_per_node} on each node, and there are {counts}"
        topic.error("nodes", text, "look at how the launcher places ranks")
    if plan.is_crowded:
        topic.note(
            "ranks", "two, and this job has room for one: speeds below say little", plan.remedy
        )
    elif plan.job.total_ranks == 1 and plan.remedy:
        text = "one rank, as this job has room for one: whether ranks find each other, and how fast"
        topic.note("ranks", f"{text} allreduce is, was not tried", plan.remedy)
    if plan.asked is not None and plan.asked != plan.job.total_ranks:
        text = f"the job asks for {plan.asked}; {plan.job.total_ranks} were started, as fit here"
        topic.note("ranks", text, "for all of them ask inside a job of that size")


def _libraries(topic: Topic, notes: Notes) -> None:
    """The MPI that is in the processes."""
    for note in notes:
        paths = sorted({os.path.realpath(p) for p in note.get("mpi", {}).get("libraries", [])})
        if len(paths) > 1:
            text = (
                f"rank {_number(note)} on {note['host']} has two MPI in it: {' and '.join(paths)}"
            )
            topic.error("libraries", text, "build mpi4py and Horovod with the same MPI")
            return
    found = _by_host(notes, lambda note: note.get("mpi", {}).get("version"))
    if len(found) == 1:
        (version, _), *_ = found.items()
        paths = next(n["mpi"]["libraries"] for n in notes if n.get("mpi", {}).get("version"))
        topic.ok("libraries", f"in the ranks: {version.split(',')[0]}, {', '.join(paths)}")
    elif found:
        _differ(topic, "libraries", "MPI", found)


def _versions(topic: Topic, notes: Notes) -> None:
    for name in ("torch", "horovod", "mpi4py", "numpy"):
        _differ(topic, name, name, _by_host(notes, lambda n, k=name: n["facts"]["packages"].get(k)))
    _differ(topic, "python", "Python", _by_host(notes, lambda note: note["facts"].get("python")))


def _by_host(notes: Notes, key: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for note in notes:
        value = key(note)
        if value is not None and note["host"] not in found.setdefault(str(value), []):
            found[str(value)].append(note["host"])
    return found


def _differ(topic: Topic, name: str, what: str, found: dict[str, list[str]]) -> None:
    if len(found) < 2:
        return
    words = "; ".join(f"{value.split(',')[0]} on {', '.join(h[:3])}" for value, h in found.items())
    remedy = "start all ranks with the same Python (launch.python: a path that all nodes see)"
    topic.error(name, f"the ranks have different {what}: {words}", remedy)


def _cores(topic: Topic, notes: Notes) -> None:
    """Ranks that share the only core they may use."""
    users = Counter((note["host"], tuple(note["limits"]["cores"])) for note in notes)
    crowded = [(host, cores, n) for (host, cores), n in users.items() if len(cores) == 1 and n > 1]
    for host, cores, count in crowded[:1]:
        text = f"{count} ranks on {host} are all bound to core {cores[0]}"
        topic.warning("cores", text, "set launcher.cpu_bind of the site, or ask for more cores")
    counts = sorted({len(cores) for _, cores in users})
    if counts and not crowded:
        words = " or ".join(map(str, counts))
        topic.ok("cores", f"each rank may use {words} core{'s' if counts != [1] else ''}")


def hosts_of(notes: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Limits of each host."""
    return {note["host"]: note["limits"] for note in notes}
