"""How a candidate is judged: one evaluator a file, all answering alike."""

from hyctas_mm.evaluators.from_scratch import FromScratch
from hyctas_mm.evaluators.inherited_weights import InheritedWeights
from hyctas_mm.evaluators.short_training import ShortTraining
from hyctas_mm.search.evaluator import Evaluator, Job, Outcome

__all__ = ['Evaluator', 'FromScratch', 'InheritedWeights', 'Job', 'Outcome', 'ShortTraining']
