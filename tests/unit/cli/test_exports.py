"""Each room shows exactly what it means to show."""

import importlib
import types

import pytest

ROOMS = [
    *("cli", "config", "directives", "launchers", "lint", "preflight"),
    *("render", "schedulers", "sweep"),
    *("comm", "index", "losses", "provenance"),
    *("container", "crate", "data", "engines", "imports", "models", "staging", "study", "trace"),
    *("data.pairs", "data.scroll", "index.files", "index.pairing", "index.quick"),
    *("preflight.images", "tasks.dino", "tasks.super_resolution", "train.optim"),
]


@pytest.mark.parametrize("room", ROOMS)
def test_all__is_what_is_visible(room):
    module = importlib.import_module(f"hpctrain.{room}")
    visible = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and name != "annotations"
    }
    private_imports = {name for name in visible if name not in module.__all__}
    own = {
        n for n in private_imports if getattr(vars(module)[n], "__module__", "") == module.__name__
    }
    assert set(module.__all__) <= visible
    assert not own, f"defined here but not in __all__: {sorted(own)}"
    assert len(module.__all__) <= 8
