"""The page of all combinations of images: what is pinned, and what was built when."""

from __future__ import annotations

from typing import Any

from schema_tables import row, table

from hpctrain.container.versions import versions


def images_page() -> list[str]:
    """Lines of the page, without its title."""
    pinned = versions()
    built = [entry for entry in pinned["built"] if entry["date"]]
    return [
        "What `hpctrain container render` can write, from `containers/versions.yaml`. A date says",
        "when we built the combination and its `%test` passed; `never` that it is rendered and",
        f"checked as text, and was never built by us: {len(built)} of {len(pinned['built'])} were.",
        "Minutes are without any layer in the cache, on two cores: those with Horovod with nothing",
        "beside it (28 and 18 at a load of 10), the others at a load of 5 to 16;",
        "GB are the image's. [Build an image](../tutorials/containers.md) says how.",
        "",
        *table("base", "MPI", "from", "device", "gradients by", "built", "minutes", "GB"),
        *(_row(entry) for entry in pinned["built"]),
        "",
        "## Bases and MPI",
        "",
        *table("device", "base unless another is named", "index of torch"),
        *(
            row(name, f"`{own['base']}`", f"`{own['torch_index']}`")
            for name, own in pinned["device"].items()
        ),
        "",
        *table("MPI", "library", "PMI", "releases that can be compiled", "unless another is named"),
        *(
            row(name, f"`{own['soname']}`", own["pmi"], ", ".join(own["releases"]), own["default"])
            for name, own in pinned["mpi"].items()
        ),
        "",
        "## Python packages",
        "",
        *table("package", "version"),
        row("horovod", f"{pinned['horovod']}, compiled"),
        *(row(name, pin) for name, pin in pinned["python"].items()),
    ]


def _row(entry: dict[str, Any]) -> str:
    origin = f"{entry['from']} {entry.get('release', '')}".strip()
    measured = (str(entry.get(key) or "") for key in ("minutes", "gb"))
    words = (entry["base"], entry["mpi"], origin, entry["device"], entry["comm"])
    return row(*map(str, words), str(entry["date"] or "never"), *measured)
