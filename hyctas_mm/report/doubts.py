"""What the ``results.json`` of retrained networks say: are they worth anything, and which weights of each are
better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NEAR = 2.0
"""Points above a constant prediction that are no better than it."""
_SHOWN = 6


def doubts(results: Mapping[str, Mapping[str, Any]], score: str) -> str:
    """One warning about retrained networks, with what to do; empty if there is nothing to warn of.

    Args:
        results: Content of ``results.json`` by network.
        score: The metric that was searched for, e.g. ``mIoU``.
    """
    told, remedies = [], []
    pairs = {
        name: (_value(r.get('inherited'), score), _value(r.get('retrained'), score)) for name, r in results.items()
    }
    worse = [
        name for name, (before, after) in pairs.items() if before is not None and after is not None and after < before
    ]
    if worse:
        before, after = pairs[worse[0]]
        told.append(
            f"{len(worse)} of {len(results)} score less after retraining than with the supernet's weights "
            f'(e.g. {worse[0]}: {score} {after:.1f}, before {before:.1f})'
        )
        remedies += ['retrain for longer', "start from the supernet's weights (--inherit)"]
    empty = [
        f'{name}: {after:.1f}, one class everywhere {constant:.1f}'
        for name, (_, after) in pairs.items()
        if after is not None
        and (constant := _value(results[name].get('constant'), score)) is not None
        and after <= constant + NEAR
    ]
    if empty:
        told.append(
            f'{len(empty)} of {len(results)} are hardly better than a prediction of one class everywhere '
            f'(e.g. {score} of {empty[0]})'
        )
        remedies += ['retrain for longer', 'check that labels fit their images']
    never = sorted({str(c) for r in results.values() for c in r.get('never_predicted', ())})
    if never:
        names = ', '.join(never[:_SHOWN]) + (f' and {len(never) - _SHOWN} more' if len(never) > _SHOWN else '')
        told.append(f'some network never predicts {names}')
        remedies += ['retrain for longer', 'add images of these classes']
    if not told:
        return ''
    verdict = (
        'These networks may be of little worth' if worse or empty else 'Look at these networks before you use them'
    )
    return f'{verdict}: {"; ".join(told)}. What helps: {", ".join(dict.fromkeys(remedies))}.'


def better_weights(results: Mapping[str, Any], score: str) -> str:
    """The file of the weights that score more on the test images: ``retrained.pth``, or the supernet's in
    ``weights.pth``.
    """
    before, after = (_value(results.get(key), score) for key in ('inherited', 'retrained'))
    return 'weights.pth' if after is None or (before is not None and before > after) else 'retrained.pth'


def _value(metrics: Mapping[str, float] | None, score: str) -> float | None:
    """A metric by its bare name: evaluators put their prefix before it."""
    return next((float(value) for key, value in (metrics or {}).items() if key.split('/')[-1] == score), None)
