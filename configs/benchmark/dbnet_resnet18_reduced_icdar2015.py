# DBNet with ResNet-18 as MMOCR has it, small enough to be compared on two CPU cores: views of
# 192x192, a schedule of iterations, tests at 768x432.
_base_ = 'mmocr::textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py'
custom_imports = dict(imports=['odm_mmocr'], allow_failed_imports=False)

load = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(
        type='LoadOCRAnnotations',
        with_polygon=True,
        with_bbox=True,
        with_label=True,
        with_text=True,
    ),
]
train_pipeline = [
    *load,
    # Text is 0.35 to 0.83 times as large as in the photographs of 1280x720, in the tests 0.6 times.
    dict(
        type='WarpScene',
        scale=(192, 192),
        crop=(0.18, 0.43),
        rotation=10.0,
        shear=5.0,
        perspective=0.05,
    ),
    dict(type='TorchVisionWrapper', op='ColorJitter', brightness=32.0 / 255, saturation=0.5),
    dict(type='PackTextDetInputs', meta_keys=('img_path', 'ori_shape', 'img_shape')),
]
test_pipeline = [
    load[0],
    dict(type='Resize', scale=(768, 432), keep_ratio=True),
    load[1],
    dict(
        type='PackTextDetInputs',
        meta_keys=('img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    _delete_=True,
    batch_size=8,
    num_workers=0,
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(
        type='SeededDataset',
        dataset=dict(
            type='OCRDataset',
            data_root='data/icdar2015',
            ann_file='textspotting_train.json',
            pipeline=train_pipeline,
        ),
    ),
)
val_dataloader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='OCRDataset',
        data_root='data/icdar2015',
        ann_file='textspotting_test.json',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
optim_wrapper = dict(
    _delete_=True,
    type='AutoAmpOptimWrapper',
    cpu_bfloat16=True,
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0),
)
train_cfg = dict(_delete_=True, type='ResumableIterTrainLoop', max_iters=6000, val_interval=600)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=300, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=300, eta_min_ratio=0.02, by_epoch=False),
]
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(_delete_=True, type='AtomicCheckpointHook', by_epoch=False, interval=600),
)
custom_hooks = [dict(type='KeepFreedMemoryHook'), dict(type='CpuDetectionHook')]
log_processor = dict(by_epoch=False, window_size=50)
randomness = dict(seed=0)
