"""Where a scorer keeps its images. Scores themselves: test_search_loop.py."""

from __future__ import annotations

import pytest
import torch

from hyctas_mm.engine.scoring import keep_on_device

GPU = torch.device('cuda', 0)


class Image(torch.Tensor):
    """An image that goes to a GPU by becoming an image of the meta device."""

    def to(self, device: torch.device) -> torch.Tensor:  # type: ignore[override]
        assert device == GPU
        return torch.empty(self.shape, dtype=self.dtype, device='meta')


def batches() -> list[dict]:
    return [dict(inputs=[torch.zeros(3, 10, 10, dtype=torch.uint8).as_subclass(Image) for _ in range(2)]) for _ in range(2)]


@pytest.mark.parametrize(('free', 'fits'), [(2400, True), (2399, False)])
def test_images_go_to_a_gpu_that_has_twice_their_size_free(monkeypatch: pytest.MonkeyPatch, free: int, fits: bool) -> None:
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device: (free, 10**6))
    there = batches()
    assert keep_on_device(there, GPU) == fits
    assert {image.device.type for batch in there for image in batch['inputs']} == {'meta' if fits else 'cpu'}


def test_nothing_moves_to_a_cpu() -> None:
    there = batches()
    before = [image for batch in there for image in batch['inputs']]
    assert keep_on_device(there, torch.device('cpu'))
    assert all(a is b for a, b in zip(before, (image for batch in there for image in batch['inputs']), strict=True))
