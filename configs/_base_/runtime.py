default_scope = 'mmocr'
custom_imports = dict(imports=['odm_mmocr'], allow_failed_imports=False)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)
default_hooks = dict(
    runtime_info=dict(type='DeferredRuntimeInfoHook'),
    # Figures at the iteration of their validation; MMEngine writes them down at epoch 0.
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=5000, max_keep_ckpts=3),
    visualization=dict(type='ODMVisualizationHook'),
    sync_buffer=dict(type='AverageStatisticsHook'),
)
custom_hooks = [
    dict(type='BackboneExportHook'),
    dict(type='DataFaultsHook'),
    dict(type='FiniteStepsHook'),
    dict(type='StopSignalHook'),
    dict(type='KeepFreedMemoryHook'),
]
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=False)
vis_backends = [dict(type='NumberedVisBackend')]
visualizer = dict(type='ODMVisualizer', name='visualizer', vis_backends=vis_backends)
log_level = 'INFO'
load_from = None
resume = False
