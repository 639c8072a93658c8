"""The index of a run's files: built on the login node, read by the trainer."""

from hpctrain.index.fields.build import build_fields_index as build_fields_index
from hpctrain.index.read import Stamp as Stamp
from hpctrain.index.read import read_index as read_index
from hpctrain.index.read import verify_index as verify_index
from hpctrain.index.table import Index as Index
from hpctrain.index.table import Row as Row

__all__ = ["Index", "Row", "Stamp", "build_fields_index", "read_index", "verify_index"]
