"""From files to samples: what belongs together, and what is wrong with it."""

from hpctrain.index.pairing.judge import judge as judge
from hpctrain.index.pairing.pairs import Sample as Sample
from hpctrain.index.pairing.pairs import pair as pair

__all__ = ["Sample", "judge", "pair"]
