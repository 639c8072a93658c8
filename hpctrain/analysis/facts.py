"""What ran on what: the words and tables of the report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from hpctrain import run_state
from hpctrain.analysis.record import Record
from hpctrain.errors import EXIT_STOPPED
from hpctrain.provenance.run import read_manifest, run_id
from hpctrain.run_state import finite

Rows = list[tuple[str, str]]

_ASKED = (
    ("task", "train.task"),
    ("upscale factor", "train.upscale_factor"),
    ("variables", "data.variables"),
    ("crop, input cells", "data.crop"),
    ("geometry", "data.geometry"),
    ("epochs", "train.epochs"),
    ("of these without adversary", "train.pretrain_epochs"),
    ("global batch size", "train.global_batch_size"),
    ("criterion", "train.criterion"),
    ("optimizer", "train.optimizer.name"),
    ("learning rate", "train.optimizer.learning_rate"),
    ("adversarial loss", "train.adversary.loss"),
    ("critic steps", "train.adversary.critic_steps"),
    ("gradient penalty", "train.adversary.gradient_penalty.kind"),
    ("seed", "train.seed"),
    ("nodes", "resources.nodes"),
    ("ranks per node", "resources.ranks_per_node"),
    ("GPUs per rank", "resources.gpus_per_rank"),
    ("cores per rank", "resources.cpus_per_rank"),
    ("walltime", "resources.walltime"),
    ("queue", "resources.queue"),
    ("container", "container.image"),
)


def number(value: Any, digits: int = 4) -> str:
    """A number with so many significant digits and no needless exponent; `–` for none."""
    found = finite(value)
    if found is None:
        return "–"
    if found == int(found) and abs(found) < 1e7:
        return f"{found:.0f}"
    return f"{found:.{digits}g}"


def size(num_bytes: float) -> str:
    """A file size: `98.2 MB`."""
    for unit in ("B", "kB", "MB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}" if unit != "B" else f"{num_bytes:.0f} B"
        num_bytes /= 1000
    return f"{num_bytes:.1f} GB"


def moment(seconds: Any) -> str:
    """Seconds since 1970 as date and time in UTC."""
    found = finite(seconds)
    return "–" if found is None else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(found))


def sentence(record: Record, now: float) -> str:
    """What the run is doing, in one sentence."""
    state, verdict = record.state, record.state.verdict(now)
    epoch, epochs = state.number("epoch"), state.number("epochs")
    where = "" if epoch is None else f" after epoch {number(epoch)} of {number(epochs)}"
    quiet = run_state.age(now - state.updated) if state.updated else "an unknown time"
    message = f": {state.text('message')}" if state.text("message") else ""
    code = state.number("exit_code")
    texts = {
        "rendered": "Rendered, not started yet",
        "starting": f"Starting since {quiet}",
        "running": f"Running{where}{_left(record, now)}; last heard of {quiet} ago",
        "stopped": f"Stopped{where}; it goes on when it is started again{message}",
        "finished": f"Finished{where}",
        "failed": f"Failed{where}{'' if code is None else f' with exit code {code:.0f}'}{message}",
        "died": f"Died{where}: its process is gone, and it said nothing since {quiet}",
        "silent": f"Silent{where}: it runs on another host and said nothing for {quiet}",
        "unreadable": "What the run is doing is not known, as state.json cannot be read",
    }
    return texts.get(verdict, f"In state {verdict}{where}") + "."


def tables(record: Record) -> list[dict[str, Any]]:
    """Name-value tables: what was asked, where it ran, which code, which data."""
    found = [
        ("What was asked", [(label, _shown(_get(record.config, key))) for label, key in _ASKED]),
        ("Where it ran", _machine(record)),
        ("Code", _code(record.source)),
        ("Data", _data(record.index)),
    ]
    kept = [(title, [(k, v) for k, v in rows if v]) for title, rows in found]
    return [{"title": title, "rows": rows} for title, rows in kept if rows]


def launches(record: Record) -> list[dict[str, str]]:
    """One line a start of the training, oldest first."""
    lines = []
    for i, entry in enumerate(record.launches):
        is_last = i == len(record.launches) - 1
        hosts = entry.get("hosts")
        lines.append(
            {
                "started": moment(entry.get("time")),
                "id": _shown(entry.get("launch_id")) or "–",
                "hosts": _shown(hosts if isinstance(hosts, list) else entry.get("host")) or "–",
                "ranks": _shown(entry.get("world_size")) or "–",
                "comm": _shown(entry.get("comm")) or "–",
                "device": _shown(entry.get("device")) or "–",
                "exit_code": _exit_code(record, entry, is_last),
            }
        )
    return lines


def checkpoints(record: Record) -> list[dict[str, str]]:
    """One line a checkpoint, newest first."""
    return [
        {
            "name": c.name,
            "size": size(c.size),
            "written": moment(c.modified),
            "note": "latest" if c.is_latest else "",
        }
        for c in reversed(record.checkpoints)
    ]


_ALARM_HEAD = ("kind", "time", "epoch", "step")


def alarms(record: Record) -> list[dict[str, str]]:
    """One line a kind of alarm: from when to when it was told, its last number, and what it says.

    state.json has the sentences of those that stand.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for line in record.alarms:
        for kind in line:
            if kind not in _ALARM_HEAD:
                found.setdefault(kind, []).append(line)
    page = record.state.fields.get("alarms")
    standing = page if isinstance(page, dict) else {}
    return [
        {
            "kind": kind.replace("_", " "),
            "times": number(len(lines)),
            "first": f"epoch {number(lines[0].get('epoch'))}, step {number(lines[0].get('step'))}",
            "last": f"epoch {number(lines[-1].get('epoch'))}, step {number(lines[-1].get('step'))}",
            "value": number(lines[-1].get(kind)),
            "stands": "stands" if kind in standing else "over",
            "text": str(_get(standing, f"{kind}.text") or ""),
        }
        for kind, lines in found.items()
    ]


def _left(record: Record, now: float) -> str:
    eta = record.state.number("eta_s")
    if eta is None:
        return ""
    return f", {run_state.duration(eta - (now - (record.state.updated or now)))} left"


def _machine(record: Record) -> Rows:
    state, site = record.state, record.site
    launcher = site.get("launcher")
    if isinstance(launcher, dict):
        launcher = launcher.get("kind") or launcher.get("name")
    torch = record.launches[-1].get("torch") if record.launches else None
    return [
        ("site", _shown(site.get("name") or record.config.get("site"))),
        ("scheduler", _shown(site.get("scheduler"))),
        ("launcher", _shown(launcher)),
        ("run id", run_id(read_manifest(record.path))),
        ("job id", state.text("job_id") or ""),
        ("host of rank 0", state.text("host") or ""),
        ("ranks", state.text("world_size") or ""),
        ("communication", state.text("comm") or ""),
        ("device", state.text("device") or ""),
        ("precision", state.text("precision") or ""),
        ("torch", _shown(torch)),
    ]


def _code(source: Mapping[str, Any]) -> Rows:
    revision = _shown(source.get("git_revision"))
    dirty = " with changes that were not committed" if source.get("dirty") else ""
    return [
        ("hpctrain", _shown(source.get("version"))),
        ("git revision", f"{revision}{dirty}" if revision else ""),
        ("digest", _shown(source.get("digest"))),
    ]


def _data(index: Mapping[str, Any]) -> Rows:
    counts = index.get("counts")
    rows = [("root", _shown(index.get("root"))), ("rule", _shown(index.get("rule")))]
    if isinstance(counts, dict):
        rows += [(f"files, {str(k).replace('_', ' ')}", _shown(v)) for k, v in counts.items()]
    return [*rows, ("index digest", _shown(index.get("digest")))]


def _exit_code(record: Record, entry: Mapping[str, Any], is_last: bool) -> str:
    """Exit code of one start: its own, or for the last one what state.json says."""
    code = finite(entry.get("exit_code"))
    if code is None and is_last:
        implied = {"finished": 0.0, "stopped": float(EXIT_STOPPED)}
        code = record.state.number("exit_code")
        code = implied.get(record.state.text("status") or "") if code is None else code
    return "–" if code is None else f"{code:.0f}"


def _get(content: Mapping[str, Any], key: str) -> Any:
    value: Any = content
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _shown(value: Any) -> str:
    """A value of a YAML or JSON file as one short text; empty for what is not set."""
    if value is None or value == "" or value == []:
        return ""
    if isinstance(value, list):
        return (" × " if all(isinstance(v, int) for v in value) else ", ").join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{k} {text}" for k, v in value.items() if (text := _shown(v)))
    return f"{value:g}" if isinstance(value, float) else str(value)
