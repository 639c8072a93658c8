"""Blocks of pairs that cannot mean anything are refused, each with the key and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hpctrain.config.pair_data import Pairs

RGB = {"channels": "rgb", "size": (60, 80), "crop": (32, 32)}
IR = {"channels": "temperature", "size": (60, 80), "crop": (32, 32)}


def pairs(rgb: Any = None, ir: Any = None, **more: Any) -> Pairs:
    both = {"rgb": {**RGB, **(rgb or {})}, "ir": {**IR, **(ir or {})}}
    return Pairs.model_validate({"kind": "pairs", "index": "x", "modalities": both, **more})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"views": {"local_count": 4}}, "modalities.rgb.local_crop goes with views.local_count 4"),
        ({"ir": {"local_crop": (8, 8)}}, "modalities.ir.local_crop goes with views.local_count 0"),
        ({"ir": {"channels": "temperature_bins"}}, "thermal.bins belongs to channels"),
        ({"thermal": {"bins": {"clouds": (-20, 0)}}}, "thermal.bins belongs to channels"),
        ({"thermal": {"bins": {}}}, "found none; allowed: one of edges, quantiles, clouds"),
        ({"thermal": {"bins": {"edges": (0, 1, 1, 2)}}}, "each above the one before"),
        ({"thermal": {"offset": 3}}, "offset and scale belong together"),
        (
            {"ir": {"channels": "grey"}, "thermal": {"offset": 0, "scale": 1}},
            "thermal.offset has no effect",
        ),
        (
            {"ir": {"channels": "grey"}, "views": {"thermal": {"gain_std": 0.1}}},
            "views.thermal has no effect on",
        ),
        ({"rgb": IR, "views": {"colour": {"hue": 0}}}, "views.colour has no effect on temperature"),
        ({"rgb": {"mean": [0.5]}}, "mean: found 1 numbers; channels rgb has 3"),
        ({"rgb": {"std": [0, 1, 1]}}, "allowed: numbers above 0"),
        ({"views": {"scale": (0.5, 0.2)}}, "scale: found"),
        ({"views": {"count": 2, "colour": {"blur": [1, 1, 1]}}}, "colour.blur: found 3 numbers"),
        ({"optical": {"margins": {"A": (0.5, 0, 0.5, 0)}}}, "which leaves nothing"),
        ({"cache": False, "cache_dir": "/scratch"}, "cache_dir has no effect"),
        ({"cache": False, "cache_limit_gb": 2}, "cache_limit_gb has no effect"),
        ({"cache_dir": "scratch"}, "allowed: an absolute path"),
    ],
)
def test_pairs__that_mean_nothing_are_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text.replace(".", r"\.")):
        pairs(**given)


@pytest.mark.parametrize(("rgb", "ir"), [(RGB, {"channels": "grey"}), (IR, IR)])
def test_pairs__of_one_camera_are_read_again_from_all_their_fields(rgb: Any, ir: Any) -> None:
    """The control experiment, as a run's config.yaml has it."""
    own = pairs(rgb, ir)
    assert Pairs.model_validate(own.model_dump()) == own


def test_shares__hold_for_all_crops_or_for_each_and_local_ones() -> None:
    local = {"local_crop": (8, 8)}
    colour = {"blur": [1, 0.1, 0.5], "grey": 0.2}
    views = pairs(local, local, views={"count": 2, "local_count": 3, "colour": colour}).views
    assert [views.share(views.colour.blur, n) for n in range(5)] == [1, 0.1, 0.5, 0.5, 0.5]
    assert [views.share(views.colour.grey, n) for n in range(5)] == [0.2] * 5
    assert pairs().views.total == 1
