"""What is wrong with a sample: by its names, by its files, and beside the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hpctrain.index.files.facts import TAB, Fact
from hpctrain.index.pairing.items import BAD
from hpctrain.index.pairing.listed import LIST
from hpctrain.index.pairing.pairs import Sample
from hpctrain.index.pairing.times import NS, parse_time, time_text

if TYPE_CHECKING:
    from hpctrain.config.index_rule import Modality, Rule

Column = Sequence[Fact | None]
"""Facts of one modality, in the order of the samples."""
Settled = frozenset[tuple[str, str]]
"""Ids and digests of the files that an earlier index put into a split."""


def judge_names(samples: Sequence[Sample], rule: Rule) -> None:
    """Add the reasons that names and times give."""
    names, modalities = list(rule.modalities), list(rule.modalities.values())
    span = [parse_time(t) if t else None for t in (rule.window.start, rule.window.stop)]
    has_window = rule.window.start is not None or rule.window.stop is not None
    excluded = [
        (e.node, e.after, parse_time(e.after or ""), e.before, parse_time(e.before or ""))
        for e in rule.exclude
    ]
    has_position = rule.position is not None or any(m.position for m in modalities)
    is_simple = not (has_position or has_window or excluded)
    is_simple = is_simple and rule.max_time_difference_s is None
    has_several = any(len(m.files) > 1 for m in modalities)
    for sample in samples:
        items = sample.items
        if None in items or has_several:
            lacks = [
                name
                for name, m, item in zip(names, modalities, items, strict=True)
                if (item is None and not m.optional) or (item is not None and "" in item.paths)
            ]
            if lacks and not sample.reasons:
                sample.reasons.append(f"missing-twin: no {', '.join(lacks)}")
        if is_simple:
            continue
        if has_position:
            sample.reasons += _positions(sample, rule)
        if rule.max_time_difference_s is not None:
            sample.reasons += _times(sample, rule.max_time_difference_s)
        ns = sample.ns
        if has_window and not _within(ns, span[0], span[1]):
            sample.reasons.append(
                f"outside-window: {time_text(ns) if ns is not None else 'no time'}"
            )
        for node, after, after_ns, before, before_ns in excluded:
            if sample.node == node and _within(ns, after_ns, before_ns):
                limits = [f"from {after} on"] * bool(after) + [f"before {before}"] * bool(before)
                sample.reasons.append(" ".join(["excluded: node", node, *limits]))


def _positions(sample: Sample, rule: Rule) -> Iterable[str]:
    given = [item.position for item in sample.items if item is not None]
    if sample.position and given.count(sample.position) == len(given):
        return ()
    return _position_faults(given, rule)


def _position_faults(given: Sequence[str], rule: Rule) -> Iterator[str]:
    known = [p for p in given if p]
    if rule.positions == "equal" and len(set(known)) > 1:
        yield f"unequal-positions: {' and '.join(known)}"
    elif len(known) < len(given) and rule.missing_position == "bad":
        yield "missing-position: " + ("in all names" if not known else f"beside {known[0]}")


def _times(sample: Sample, most_s: float) -> Iterable[str]:
    known = [item.ns for item in sample.items if item is not None and item.ns is not None]
    apart = max(known) - min(known) if len(known) > 1 else 0
    return (f"unequal-times: {apart / NS:g} s apart",) if apart > most_s * NS else ()


def _within(ns: int | None, start: int | None, stop: int | None) -> bool:
    """Whether a time lies in [start, stop); an unknown one only where there is no limit."""
    if ns is None:
        return start is None and stop is None
    return (start is None or ns >= start) and (stop is None or ns < stop)


def judge(
    samples: Sequence[Sample],
    rule: Rule,
    facts: Sequence[Column],
    settled: Callable[[], Settled] = frozenset,
) -> None:
    """Add the reasons that the files' content gives.

    Args:
        samples: sorted; of two with equal content the settled one stays, else the first one.
        rule: the rule.
        facts: of each modality those of each sample, as `rows.modality_facts` joins them.
        settled: asked for only where there are equal contents.
    """
    if rule.inspect != "none":
        for (name, modality), column in zip(rule.modalities.items(), facts, strict=True):
            _judge_modality(samples, name, modality, column)
    for column in facts:
        for sample, fact in zip(samples, column, strict=True):
            # what cannot be read is bad without any look at it
            if fact is not None and not fact[2] and fact.fault not in sample.reasons:
                sample.reasons.append(fact.fault)
    _judge_duplicates(samples, rule, facts, settled)
    for sample in samples:
        if sample.reasons:
            continue
        if sample.columns and sample.columns.get(LIST, "").startswith(BAD):
            sample.reasons.append("listed-bad")
        elif _is_moved(sample):
            sample.reasons.append("moved")


def _is_moved(sample: Sample) -> bool:
    for item in sample.items:
        if item is not None:
            for path in item.paths:  # twice as fast as any(), for each of all files
                if path.startswith(BAD):
                    return True
    return False


def _judge_modality(
    samples: Sequence[Sample], name: str, modality: Modality, facts: Column
) -> None:
    looks = Counter([f.look for f in facts if f is not None])
    parts = {look: look.split(TAB, 2) for look in looks}
    if isinstance(modality.shape, list):
        shape = "x".join(map(str, modality.shape))
    else:
        shape = _most(looks, parts, 0) if modality.shape == "majority" else ""
    dtype = _most(looks, parts, 1) if modality.dtype == "majority" else modality.dtype
    wanted = (shape, "" if dtype == "any" else dtype)
    faults = {look: _faults(name, part, wanted, modality) for look, part in parts.items()}
    if not any(faults.values()):
        return  # nearly always
    for sample, fact in zip(samples, facts, strict=True):
        if fact is not None and fact.sha256:
            sample.reasons += faults[fact.look]


def _faults(
    name: str, look: Sequence[str], wanted: tuple[str, str], modality: Modality
) -> list[str]:
    """What is wrong with files of this shape, type and fault."""
    found = [look[2]] if look[2] else []
    for code, has, need in zip(("shape", "dtype"), look, wanted, strict=False):
        if need and has and has != need:
            found.append(f"{code}: {has}, expected {need}")
    faults = []
    for fault in found:
        code, _, text = fault.partition(": ")
        if code not in modality.allow:
            faults.append(f"{code}: {name}: {text}" if text else f"{code}: {name}")
    return faults


def _most(looks: Counter[str], parts: Mapping[str, Sequence[str]], place: int) -> str:
    """What more than half of the files have; empty where nobody knows who is right."""
    counts: Counter[str] = Counter()
    for look, num in looks.items():
        counts[parts[look][place]] += num
    counts.pop("", None)
    total = sum(counts.values())
    return next((text for text, num in counts.items() if 2 * num > total), "")


def _judge_duplicates(
    samples: Sequence[Sample],
    rule: Rule,
    facts: Sequence[Column],
    settled: Callable[[], Settled],
) -> None:
    names = list(rule.modalities)
    chosen = names[:1] if rule.duplicates == "first" else rule.duplicates
    for name in chosen:
        column = facts[names.index(name)]
        digests = [fact[2] for fact in column if fact is not None and fact[2]]
        if len(set(digests)) == len(digests):
            continue  # nearly always
        first: dict[str, Sample] = {}
        alike: dict[str, list[Sample]] = {}
        for sample, fact in zip(samples, column, strict=True):
            if fact is not None and fact[2] and not sample.reasons:
                other = first.setdefault(fact[2], sample)
                if other is not sample:
                    alike.setdefault(fact[2], [other]).append(sample)
        for digest, equal in alike.items():
            known = settled()  # what was trained on must not become a copy of what was not
            stays = next((s for s in equal if (s.id, digest) in known), equal[0])
            for sample in equal:
                if sample is not stays:
                    sample.reasons.append(f"duplicate: {name}: same content as {stays.id}")
