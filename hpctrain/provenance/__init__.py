"""What every product carries of its run, and how it is put into files and read out of them."""

from hpctrain.provenance.files import Found as Found
from hpctrain.provenance.files import embed as embed
from hpctrain.provenance.files import read as read
from hpctrain.provenance.files import seal as seal
from hpctrain.provenance.run import run_id as run_id
from hpctrain.provenance.run import stamp_run as stamp_run
from hpctrain.provenance.stamp import Stamp as Stamp
from hpctrain.provenance.stamp import attributes as attributes

__all__ = ["Found", "Stamp", "attributes", "embed", "read", "run_id", "seal", "stamp_run"]
