from .hooks import (
    AtomicCheckpointHook,
    BackboneExportHook,
    DataFaultsHook,
    DeferredRuntimeInfoHook,
)
from .loops import ResumableIterTrainLoop
from .optim_wrapper import AutoAmpOptimWrapper, CpuAmpOptimWrapper

__all__ = [
    'AtomicCheckpointHook',
    'AutoAmpOptimWrapper',
    'BackboneExportHook',
    'CpuAmpOptimWrapper',
    'DataFaultsHook',
    'DeferredRuntimeInfoHook',
    'ResumableIterTrainLoop',
]
