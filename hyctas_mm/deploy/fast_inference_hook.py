"""A network made ready for inference before it is tested."""

from __future__ import annotations

from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from hyctas_mm.deploy.inference import prepare_for_inference
from hyctas_mm.errors import BadValue
from hyctas_mm.registry import HOOKS


@HOOKS.register_module()
class FastInferenceHook(Hook):
    """Before a test, drops auxiliary heads, fuses batch norm, lays weights out channels-last, and on demand compiles
    the network.

    Args:
        channels_last: See :func:`~hyctas_mm.deploy.inference.prepare_for_inference`.
        compile_mode: See there; ``'reduce-overhead'`` records CUDA graphs on a GPU.

    Raises:
        ValueError: For a supernet, an unknown mode, or a config that also averages weights with an ``EMAHook``.

    Example:
        >>> # mim test mmseg CONFIG --checkpoint CHECKPOINT \
        >>> #     --cfg-options custom_hooks="[dict(type='FastInferenceHook')]"
        >>> custom_hooks = [dict(type='FastInferenceHook', compile_mode='default')]
    """

    def __init__(self, channels_last: bool = True, compile_mode: str | None = None) -> None:
        self.channels_last, self.compile_mode = channels_last, compile_mode

    def before_test(self, runner: Runner) -> None:
        if any(isinstance(hook, EMAHook) for hook in runner.hooks):
            raise BadValue(
                'FastInferenceHook beside EMAHook: a fused network has no averaged weights to swap in; remove one '
                'from custom_hooks'
            )
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        prepare_for_inference(model, self.channels_last, self.compile_mode)
