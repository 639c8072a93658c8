"""The index of a run's files: built on the login node, read by the trainer."""

from hpctrain.index.fields.build import build_fields_index as build_fields_index
from hpctrain.index.of_job import build_job_index as build_job_index
from hpctrain.index.of_job import rows_of_job as rows_of_job
from hpctrain.index.read import Stamp as Stamp
from hpctrain.index.read import read_index as read_index
from hpctrain.index.read import verify_index as verify_index
from hpctrain.index.table import Index as Index
from hpctrain.index.table import Row as Row

__all__ = [
    "Index",
    "Row",
    "Stamp",
    "build_fields_index",
    "build_job_index",
    "read_index",
    "rows_of_job",
    "verify_index",
]
