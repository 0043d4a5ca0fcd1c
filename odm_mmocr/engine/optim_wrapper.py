"""Mixed precision where the machine is faster with it, a start everywhere, finite steps only."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmocr.registry import OPTIM_WRAPPERS
from torch import nn

from .finite_steps import FiniteSteps


@OPTIM_WRAPPERS.register_module()
class FiniteOptimWrapper(FiniteSteps, OptimWrapper):
    """MMEngine's wrapper, but without steps that are not finite (:class:`FiniteSteps`).

    Args:
        **kwargs: As in :class:`mmengine.optim.OptimWrapper`.
    """


@OPTIM_WRAPPERS.register_module()
class FiniteAmpOptimWrapper(FiniteSteps, AmpOptimWrapper):
    """MMEngine's wrapper for mixed precision, but without steps that are not finite.

    Args:
        **kwargs: As in :class:`mmengine.optim.AmpOptimWrapper`.
    """


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(FiniteOptimWrapper):
    """Runs the forward pass under bfloat16 autocast on a CPU; MMEngine's wrapper refuses to.

    bfloat16 has the range of float32, so losses need no scaling.

    Args:
        **kwargs: As in :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of a training step."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield


@OPTIM_WRAPPERS.register_module()
def AutoAmpOptimWrapper(
    dtype: str = 'bfloat16', loss_scale='dynamic', cpu_bfloat16: bool = False, **kwargs
) -> OptimWrapper:
    """Build the optimizer wrapper that suits the machine.

    With CUDA that is a :class:`FiniteAmpOptimWrapper`, with float16 on GPUs that only emulate
    bfloat16 (before Ampere); on a CPU, where that refuses to start, a
    :class:`FiniteOptimWrapper`, or on request a :class:`CpuAmpOptimWrapper` where the CPU has
    instructions for bfloat16.

    Args:
        dtype: ``'bfloat16'`` or ``'float16'``, for CUDA.
        loss_scale: As in :class:`AmpOptimWrapper`, for CUDA and ``'float16'``.
        cpu_bfloat16: Whether to use bfloat16 on CPUs that multiply it.
        **kwargs: For any of them, ``optimizer`` among them.

    Returns:
        The optimizer wrapper.
    """
    if torch.cuda.is_available():
        if dtype == 'bfloat16' and not torch.cuda.is_bf16_supported(including_emulation=False):
            print_log('float16 in place of bfloat16, which this GPU only emulates', 'current')
            dtype = 'float16'
        if dtype == 'bfloat16':
            # Nothing to scale; looking for overflows would wait for the GPU in every step.
            loss_scale = dict(enabled=False)
        return FiniteAmpOptimWrapper(dtype=dtype, loss_scale=loss_scale, **kwargs)
    if cpu_bfloat16 and multiplies_bfloat16():
        return CpuAmpOptimWrapper(**kwargs)
    return FiniteOptimWrapper(**kwargs)


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16 (AVX512-BF16 or AMX)."""
    names = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
    return any(getattr(torch.cpu, name, bool)() for name in names)
