"""A job whose networks are worth nothing says so, and its better weights are shipped."""

from __future__ import annotations

from hyctas_mm.report.doubts import better_weights, doubts

GOOD = dict(inherited={'mIoU': 30.0}, retrained={'val/mIoU': 41.0}, constant={'mIoU': 9.0}, never_predicted=[])


def test_nothing_to_warn_of() -> None:
    assert doubts({'a': GOOD, 'b': GOOD}, 'mIoU') == ''
    assert doubts({'a': {}}, 'mIoU') == '' and doubts({}, 'mIoU') == '', 'not retrained yet'


def test_retraining_that_lost() -> None:
    told = doubts({'a': GOOD, 'b': GOOD | dict(retrained={'mIoU': 22.0})}, 'mIoU')
    assert (
        "1 of 2 score less after retraining than with the supernet's weights (e.g. b: mIoU 22.0, before 30.0)" in told
    )
    assert 'retrain for longer' in told and '--inherit' in told and 'one class everywhere' not in told


def test_no_better_than_a_constant() -> None:
    told = doubts({'a': GOOD | dict(retrained={'mIoU': 10.9})}, 'mIoU')
    assert (
        '1 of 1 are hardly better than a prediction of one class everywhere (e.g. mIoU of a: 10.9, one class '
        'everywhere 9.0)' in told
    )
    assert 'one class everywhere' not in doubts({'a': GOOD | dict(retrained={'mIoU': 11.1})}, 'mIoU')


def test_classes_that_are_never_predicted() -> None:
    told = doubts(
        {'a': GOOD | dict(never_predicted=['rider']), 'b': GOOD | dict(never_predicted=[*'bcdefg', 'rider'])}, 'mIoU'
    )
    assert told.startswith('Look at these networks before you use them: ')
    assert 'some network never predicts b, c, d, e, f, g and 1 more. What helps' in told
    assert told.count('retrain for longer') == 1


def test_the_better_weights() -> None:
    assert better_weights(GOOD, 'mIoU') == 'retrained.pth'
    assert better_weights(GOOD | dict(retrained={'mIoU': 22.0}), 'mIoU') == 'weights.pth'
    assert (
        better_weights({}, 'mIoU') == 'weights.pth'
        and better_weights(dict(retrained={'mIoU': 1.0}), 'mIoU') == 'retrained.pth'
    )
