"""Studies: a question about a training, the runs that answer it, and what they say."""

from hpctrain.study.answer import Answer as Answer
from hpctrain.study.answer import answer as answer
from hpctrain.study.files import write_answer as write_answer
from hpctrain.study.make import STUDY as STUDY
from hpctrain.study.make import make_study as make_study
from hpctrain.study.make import read_study as read_study
from hpctrain.study.questions import QUESTIONS as QUESTIONS
from hpctrain.study.running import run_points as run_points

__all__ = [
    "QUESTIONS",
    "STUDY",
    "Answer",
    "answer",
    "make_study",
    "read_study",
    "run_points",
    "write_answer",
]
