"""What the command lines in ``tools/`` share and can have before torch is loaded: their arguments, and how they tell
errors.
"""

from hyctas_mm.cli.arguments import (
    ConfigOptions,
    add_batch_arguments,
    add_config_arguments,
    add_init_argument,
    add_launcher_arguments,
    add_retraining_arguments,
    add_workers_argument,
    toy_streets_arguments,
)
from hyctas_mm.cli.mistakes import mistake, tell, tells_mistakes

__all__ = [
    'ConfigOptions',
    'add_batch_arguments',
    'add_config_arguments',
    'add_init_argument',
    'add_launcher_arguments',
    'add_retraining_arguments',
    'add_workers_argument',
    'mistake',
    'tell',
    'tells_mistakes',
    'toy_streets_arguments',
]
