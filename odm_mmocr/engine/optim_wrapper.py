"""Mixed precision where there is CUDA, a plain start where there is none."""

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmocr.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
def CudaAmpOptimWrapper(
    dtype: str = 'bfloat16', loss_scale='dynamic', **kwargs
) -> OptimWrapper:
    """Build an :class:`AmpOptimWrapper` where CUDA is available, else a plain one.

    MMEngine's wrapper refuses to start on a CPU, so one config would not do for both.

    Args:
        dtype: ``'bfloat16'`` or ``'float16'``, for CUDA.
        loss_scale: As in :class:`AmpOptimWrapper`, for CUDA.
        **kwargs: For either, ``optimizer`` among them.

    Returns:
        The optimizer wrapper.
    """
    if torch.cuda.is_available():
        return AmpOptimWrapper(dtype=dtype, loss_scale=loss_scale, **kwargs)
    return OptimWrapper(**kwargs)
