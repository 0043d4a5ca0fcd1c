from .hooks import (
    AtomicCheckpointHook,
    BackboneExportHook,
    CpuDetectionHook,
    DataFaultsHook,
    DeferredRuntimeInfoHook,
    KeepFreedMemoryHook,
)
from .loops import ResumableIterTrainLoop
from .memory import keep_freed_memory
from .optim_wrapper import AutoAmpOptimWrapper, CpuAmpOptimWrapper
from .visualization_hook import ODMVisualizationHook

__all__ = [
    'AtomicCheckpointHook',
    'AutoAmpOptimWrapper',
    'BackboneExportHook',
    'CpuAmpOptimWrapper',
    'CpuDetectionHook',
    'DataFaultsHook',
    'DeferredRuntimeInfoHook',
    'KeepFreedMemoryHook',
    'ODMVisualizationHook',
    'ResumableIterTrainLoop',
    'keep_freed_memory',
]
