from .batch_statistics import AverageStatisticsHook, average_statistics
from .finite_steps import FiniteStepsHook, load_bad_batch
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
from .optim_wrapper import (
    AutoAmpOptimWrapper,
    CpuAmpOptimWrapper,
    FiniteAmpOptimWrapper,
    FiniteOptimWrapper,
)
from .seeding import seed_step
from .stopping import StopSignalHook
from .visualization_hook import ODMVisualizationHook

__all__ = [
    'AtomicCheckpointHook',
    'AutoAmpOptimWrapper',
    'AverageStatisticsHook',
    'BackboneExportHook',
    'CpuAmpOptimWrapper',
    'CpuDetectionHook',
    'DataFaultsHook',
    'DeferredRuntimeInfoHook',
    'FiniteAmpOptimWrapper',
    'FiniteOptimWrapper',
    'FiniteStepsHook',
    'KeepFreedMemoryHook',
    'ODMVisualizationHook',
    'ResumableIterTrainLoop',
    'StopSignalHook',
    'average_statistics',
    'keep_freed_memory',
    'load_bad_batch',
    'seed_step',
]
