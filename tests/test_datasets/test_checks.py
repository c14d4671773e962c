from __future__ import annotations

import pytest

from hyctas_mm.datasets.checks import check_not_empty


def test_an_empty_dataset_is_named() -> None:
    check_not_empty([1], 'train_dataloader')
    with pytest.raises(FileNotFoundError, match='train_dataloader: no image in'):
        check_not_empty([], 'train_dataloader')
