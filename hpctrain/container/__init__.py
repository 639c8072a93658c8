"""Images in which ranks run: what is in them, how they are written down, how they are built."""

from __future__ import annotations

from hpctrain.container.definition import definition as definition
from hpctrain.container.recipe import Base as Base
from hpctrain.container.recipe import Recipe as Recipe
from hpctrain.container.recipe import recipe as recipe
from hpctrain.container.versions import versions as versions

__all__ = ["Base", "Recipe", "definition", "recipe", "versions"]
