"""The command line: parse, call one function, print; the only place of the job side that exits."""

from hpctrain.cli.app import main as main

__all__ = ["main"]
