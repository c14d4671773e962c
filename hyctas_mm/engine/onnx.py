"""Export to ONNX, checked against PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor, nn

from hyctas_mm.costs.backends import export_to_onnx
from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.cli import use_scope
from hyctas_mm.models.layers import resize
from hyctas_mm.models.subnet import drop_training_parts
from hyctas_mm.registry import MODELS

TOLERANCE = 1e-3


@dataclass(frozen=True)
class OnnxResult:
    """An exported file and how far it is from PyTorch, relative to the largest logit."""

    path: Path
    max_difference: float


class LogitsNet(nn.Module):
    """A segmentor without its pre- and post-processing: normalised image in, logits at the image's size out."""

    def __init__(self, segmentor: nn.Module) -> None:
        super().__init__()
        self.segmentor = segmentor

    def forward(self, image: Tensor) -> Tensor:
        """(1, 3, H, W) -> (1, classes, H, W)."""
        return resize(self.segmentor(image), image.shape[2:])


def export_onnx(config: str | Path, checkpoint: str | Path, out: str | Path, input_hw: Sequence[int]) -> OnnxResult:
    """Exports the network of a config at a fixed size and compares ONNX Runtime with PyTorch on a random image.

    Args:
        config: Config of a segmentor.
        checkpoint: Its weights.
        out: File to write.
        input_hw: Height and width.

    Raises:
        ValueError: If the exported network differs from PyTorch by more than 1e-3 of the largest logit; no file is left then.
    """
    cfg = Config.fromfile(config)
    use_scope(cfg)
    model = MODELS.build(cfg.model)
    try:
        model.load_state_dict(read_checkpoint(checkpoint)['state_dict'])
    except RuntimeError as error:
        raise ValueError(f'{checkpoint} is of another network than {config} ({str(error).splitlines()[1].strip()})') from None
    net = LogitsNet(drop_training_parts(model).eval())
    image = torch.randn(1, 3, *input_hw, generator=torch.Generator().manual_seed(0))
    temporary = Path(out).with_suffix('.tmp.onnx')
    export_to_onnx(net, image, temporary)
    difference = _compare(net, image, temporary)
    if difference > TOLERANCE:
        temporary.unlink()
        raise ValueError(f'the exported network differs from PyTorch by {difference:.2e} of the largest logit; at most {TOLERANCE:.0e} is accepted')
    temporary.replace(out)
    return OnnxResult(Path(out), difference)


def _compare(net: nn.Module, image: Tensor, path: Path) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    with torch.no_grad():
        wanted = net(image)
    got = torch.from_numpy(session.run(None, {'image': image.numpy()})[0])
    return float((wanted - got).abs().max() / wanted.abs().max())
