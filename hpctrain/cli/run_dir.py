"""Find a run directory, or a sweep's, by path or by name."""

from __future__ import annotations

from pathlib import Path

from hpctrain.errors import ConfigError

RUNS = Path("jobs")


def is_run(folder: Path) -> bool:
    """Whether a folder is a run directory, or holds the runs of a sweep."""
    return (folder / "manifest.json").is_file() or (folder / "points").is_dir()


def find_run(name: str) -> Path:
    """A run directory as it stands, or by its name in jobs/.

    Raises:
        ConfigError: there is none.
    """
    tried = [Path(name), RUNS / name] if name else []
    for folder in tried:
        if is_run(folder):
            return folder
    from hpctrain.config.words import nearest

    places = " and ".join(str(folder) for folder in tried)
    hint = nearest(name, sorted(path.name for path in RUNS.glob("*") if is_run(path)))
    raise ConfigError(
        f"run {name!r}: no such run directory; looked for {places or 'nothing'}; "
        f"`hpctrain status` lists the runs in jobs/{hint}"
    )
