"""Directives of batch scripts: read as each scheduler does, said neutrally, written for another."""

from hpctrain.directives.model import Directive as Directive
from hpctrain.directives.model import Reading as Reading
from hpctrain.directives.model import Request as Request
from hpctrain.directives.read import find_schedulers as find_schedulers
from hpctrain.directives.read import read_script as read_script
from hpctrain.directives.request import request_of as request_of

__all__ = ["Directive", "Reading", "Request", "find_schedulers", "read_script", "request_of"]
