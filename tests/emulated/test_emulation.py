"""The emulation itself: what it refuses, what it notes, and that it computes what the CPU computes."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.emulated import guard
from tests.emulated.cuda import EmulatedCuda


def test_devices_are_not_mixed(emulated: EmulatedCuda) -> None:
    there, here = torch.ones(3, device='cuda'), torch.ones(3)
    with pytest.raises(RuntimeError, match='expected all tensors on one device'):
        there + here
    with pytest.raises(RuntimeError, match=r"found \['cuda:0', 'cuda:1'\]"):
        there + here.to('cuda:1')
    with pytest.raises(RuntimeError, match='expected all tensors on one device'):
        here[torch.zeros(2, dtype=torch.int64, device='cuda')]
    assert (there * torch.tensor(2.0)).sum().item() == 6, 'numbers of the CPU may be mixed in'
    with pytest.raises(RuntimeError, match='no fused kernel'):
        F.scaled_dot_product_attention(*torch.ones(3, 1, 4, 5, device='cuda'), scale=1.0)


@pytest.mark.parametrize(
    'waits',
    [
        lambda x: x.sum().item(),
        lambda x: x.cpu(),
        lambda x: float(x[0]),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.unique(),
        lambda x: torch.bincount(x.long()),
        lambda x: bool((x > 0).all()),
        lambda x: x.tolist(),
        lambda x: x.masked_select(x > 0),
        lambda x: torch.empty(3).copy_(x),
    ],
)
def test_what_waits_is_noted(emulated: EmulatedCuda, waits: Any) -> None:
    x = torch.ones(3, device='cuda')
    assert not emulated.waits
    waits(x)
    assert len(emulated.waits) == 1 and 'test_emulation.py' in emulated.waits[0]


def test_what_does_not_wait_is_not_noted(emulated: EmulatedCuda) -> None:
    x = torch.arange(3.0, device='cuda')
    x.add_(1)[x.long().clamp(max=2)].masked_fill_(x > 1, 0).sort()
    x.copy_(torch.ones(3), non_blocking=True)
    assert not emulated.waits and not emulated.uploads
    torch.ones(3).to('cuda')
    assert len(emulated.uploads) == 1


def test_gradients_are_those_of_the_cpu(emulated: EmulatedCuda) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    scale, x = nn.Parameter(torch.rand(2, 1, 1)), torch.rand(2, 3, 8, 8)
    found = []
    for device in ('cpu', 'cuda'):
        net.to(device).zero_grad()
        own = nn.Parameter(scale.detach().to(device))
        maps = net(x.to(device))
        (maps * own + maps.mean((2, 3), keepdim=True)).square().mean().backward()
        found.append([p.grad.cpu() for p in (*net.parameters(), own)])
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(there, here)


def test_processes_that_start_together_compile_a_whole_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_slowly(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        target = Path(command[-1])
        for part in ('half ', 'whole'):
            with target.open('a') as file:
                file.write(part)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(guard.subprocess, 'run', compile_slowly)
    monkeypatch.setattr(guard.shutil, 'which', lambda name: name)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(guard.compiled_guard, [tmp_path / 'cache'] * 8))
    (library,) = found
    assert library.read_text() == 'half whole' and list(library.parent.iterdir()) == [library]


def test_without_a_compiler_tests_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard.shutil, 'which', lambda name: None)
    with pytest.raises(pytest.skip.Exception, match=r'needs a C\+\+ compiler'):
        guard.compiled_guard(tmp_path)
