"""Rendering: texts of a run directory from job, site and inputs, and their writer."""

from hpctrain.render.inputs import CodeTree as CodeTree
from hpctrain.render.inputs import Inputs as Inputs
from hpctrain.render.texts import File as File
from hpctrain.render.texts import render as render
from hpctrain.render.writer import write_run as write_run

__all__ = ["CodeTree", "File", "Inputs", "render", "write_run"]
