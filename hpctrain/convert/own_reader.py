"""The class that a user names with --reader."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpctrain.errors import ConfigError, HpctrainError
from hpctrain.index.digests import sha256_of


def load_reader(name: str, folder: Path) -> Callable[[Path], Any]:
    """Import `module.Class`.

    Args:
        name: of the class; its module is looked for in `folder` first.
        folder: usually where the command was given.

    Returns:
        The class; what its own code raises is told in one sentence.

    Raises:
        ConfigError: no such module or class.
    """
    module_name, _, class_name = name.rpartition(".")
    if not module_name:
        raise ConfigError(f"--reader: found {name!r}; allowed: module.Class")
    sys.path.insert(0, str(folder.resolve()))
    try:
        module = importlib.import_module(module_name)
    except Exception as e:  # a user's module can raise anything
        raise ConfigError(
            f"--reader: module {module_name!r} cannot be imported ({type(e).__name__}: {e}); "
            f"it is looked for in {folder.resolve()} and in PYTHONPATH"
        ) from e
    finally:
        sys.path.remove(str(folder.resolve()))
    reader = getattr(module, class_name, None)
    if not callable(reader):
        raise ConfigError(f"--reader: module {module_name!r} has no class {class_name!r}")
    return _Reader(reader, module_name, class_name)


class _Reader:
    """Opens a source by the user's class."""

    def __init__(self, reader: Callable[[Path], Any], module: str, name: str) -> None:
        self._reader = reader
        self.__module__, self.__qualname__ = module, name
        self.sha256 = _source_digest(reader)
        """Of the file of the class: a class that was edited is another one."""

    def __call__(self, path: Path) -> Any:
        try:
            return self._reader(path)
        except HpctrainError:
            raise
        except Exception as e:  # noqa: BLE001 - a user's class can raise anything
            raise ConfigError(
                f"--reader: {self.__qualname__} cannot open {path}: {type(e).__name__}: {e} "
                "(--debug shows where)"
            ) from e


def _source_digest(reader: Callable[[Path], Any]) -> str | None:
    module = sys.modules.get(getattr(reader, "__module__", ""))
    file = getattr(module, "__file__", None)
    return sha256_of(Path(file)) if file and Path(file).is_file() else None
