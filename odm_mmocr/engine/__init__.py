from .hooks import AtomicCheckpointHook, BackboneExportHook, SkippedSamplesHook
from .loops import ResumableIterTrainLoop
from .optim_wrapper import CudaAmpOptimWrapper

__all__ = [
    'AtomicCheckpointHook',
    'BackboneExportHook',
    'CudaAmpOptimWrapper',
    'ResumableIterTrainLoop',
    'SkippedSamplesHook',
]
