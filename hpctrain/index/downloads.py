"""Which files of SAGE's storage make a set of pairs: from query results to a list of downloads.

Query results are lines of JSON as data.sagecontinuum.org answers, and as sage_data_client saves and
loads them. Credentials appear nowhere: curl reads them from netrc, or from the environment by way
of the printed command.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hpctrain.errors import ConfigError, DataError

_NODE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_FILE = re.compile(r"\d{16,19}-[A-Za-z0-9_][A-Za-z0-9_.:+-]*")
_FORMS = {
    "rgb": re.compile(r"(?<!\d)\d+x\d+(_[A-Za-z0-9_.:+-]*)?\.jpe?g$"),
    "thermal": re.compile(r"\d+x\d+_[^/]*thermal\.celsius[^/]*\.csv$"),
}
"""What the names of uploaded files look like, by the folder that they go to."""
OTHERS = "no picture or thermal table of a Mobotix camera"
CLIENT = "sage_data_client"
PART = ".part"
"""End of the name of a file until it is whole."""


@dataclass(frozen=True)
class Download:
    """One file to fetch."""

    url: str
    target: str
    """Below the data's folder: rgb/NODE/<ns>-<name>, or thermal/NODE/<ns>-<name>."""
    node: str
    key: str
    """What both files of a frame have in common: node and time stamp."""


@dataclass(frozen=True)
class Plan:
    """What is fetched, and what is not."""

    downloads: tuple[Download, ...]
    left_out: Mapping[str, int]
    """Records by the reason for which they are not in the list."""

    @property
    def alone(self) -> int:
        """Files whose twin is not in the list."""
        frames = Counter(one.key for one in self.downloads)
        return sum(count == 1 for count in frames.values())


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Records of a saved query, one JSON object a line.

    Args:
        path: .json, .ndjson, or either with .gz.

    Raises:
        DataError: it cannot be read, or a line is no record; says which.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    done = 0
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                if line.strip():
                    yield _record(json.loads(line))
                done += 1
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror or e}") from e
    except (ValueError, KeyError, TypeError, EOFError) as e:
        raise DataError(
            f"{path}: line {done + 1}: is no record of a query ({e}); allowed: lines such as "
            '{"timestamp": ..., "name": "upload", "value": URL, "meta": {"vsn": ...}}'
        ) from e


def _record(page: Any) -> dict[str, Any]:
    if not isinstance(page, dict) or not isinstance(page["meta"], dict):
        raise ValueError("not an object with meta")
    return {"name": str(page["name"]), "value": page["value"], "meta": page["meta"]}


def query(
    start: str, end: str | None, filters: Mapping[str, str], endpoint: str | None = None
) -> Iterator[dict[str, Any]]:
    """Records of a query that is asked now, by sage_data_client.

    Args:
        start: time such as 2023-03-08T00:00:00Z, or -2h.
        end: likewise; None: now.
        filters: such as {"vsn": "W02D"}.
        endpoint: URL of the service; None: the client's own.

    Raises:
        ConfigError: the package is not installed.
        DataError: the service cannot be asked.
    """
    try:
        client = importlib.import_module(CLIENT)
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"--start: asks the data service by the package {e.name!r}, which is not installed; "
            "pip install sage-data-client, or give a saved query"
        ) from e
    more = {} if endpoint is None else {"endpoint": endpoint}
    try:
        table = client.query(start=start, end=end, filter={"name": "upload", **filters}, **more)
    except (OSError, ValueError) as e:
        raise DataError(f"--start: the data service cannot be asked: {e}") from e
    for row in table.to_dict("records"):
        meta = {str(k)[5:]: v for k, v in row.items() if str(k).startswith("meta.")}
        yield {"name": row["name"], "value": row["value"], "meta": meta}


def plan_downloads(records: Iterable[Mapping[str, Any]], there: Path | None = None) -> Plan:
    """What to fetch for the records of a query.

    Args:
        records: see `read_records`.
        there: folder of the data; files that are in it are left out.

    Raises:
        DataError: a URL that holds a user or password.
    """
    found: dict[str, Download] = {}
    left_out: Counter[str] = Counter()
    for record in records:
        one = _download(record)
        if isinstance(one, str):
            left_out[one] += 1
        elif one.target in found:
            left_out["listed already"] += 1
        elif there is not None and (there / one.target).is_file():
            left_out["there already"] += 1
        else:
            found[one.target] = one
    return Plan(tuple(found[target] for target in sorted(found)), dict(sorted(left_out.items())))


def _download(record: Mapping[str, Any]) -> Download | str:
    """A file to fetch, or why there is none."""
    if record["name"] != "upload":
        return "no upload"
    url, meta = str(record["value"]), record["meta"]
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise DataError(
            f"{parts.scheme}://...@{parts.hostname}{parts.path}: holds a user or password; take "
            "them out of the query's results, they belong into netrc or the environment"
        )
    is_safe = parts.scheme == "https" or (parts.scheme, parts.hostname) == ("http", "127.0.0.1")
    if not is_safe or any(ord(c) <= 32 or c in '"\\' for c in url):
        return "no https URL"
    name = unquote(parts.path.rpartition("/")[2])
    node = str(meta.get("vsn") or meta.get("node") or "")
    folder = next((key for key, form in _FORMS.items() if form.search(name)), "")
    if not folder or not _FILE.fullmatch(name):
        return OTHERS
    if not _NODE.fullmatch(node):
        return "no node"
    stamp = name.partition("-")[0]
    return Download(url, f"{folder}/{node}/{name}", node, f"{node}/{stamp}")


def list_text(plan: Plan) -> str:
    """The list as CSV, for people and other programs."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("url", "target"))
    table.writerows((one.url, one.target) for one in plan.downloads)
    return out.getvalue()


def curl_text(plan: Plan) -> str:
    """The list as a configuration of curl, which writes TARGET.part and tells of each that ends."""
    files = (f'url = "{d.url}"\noutput = "{d.target}{PART}"\n' for d in plan.downloads)
    return 'write-out = "%{exitcode} %{filename_effective}\\n"\n' + "".join(files)


def hosts(plan: Plan) -> tuple[str, ...]:
    """Machines that are asked."""
    return tuple(sorted({urlsplit(one.url).hostname or "" for one in plan.downloads}))
