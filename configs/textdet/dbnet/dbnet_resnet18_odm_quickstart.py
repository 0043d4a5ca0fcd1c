# MMOCR's DBNet with ResNet-18, for a few minutes on synthesized images.
_base_ = 'mmocr::textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py'
custom_imports = dict(imports=['odm_mmocr'], allow_failed_imports=False)

scene = dict(
    type='SynthesizedSceneText',
    size=(160, 160),
    words_per_image=(1, 3),
    text_height=(18, 36),
    degradation=0.6,
    texture_share=1.0,
)
load_image = dict(type='LoadImageFromNDArray')
load_annotations = dict(
    type='LoadOCRAnnotations', with_polygon=True, with_bbox=True, with_label=True
)
train_pipeline = [
    load_image,
    load_annotations,
    dict(type='PackTextDetInputs', meta_keys=('img_path', 'ori_shape', 'img_shape')),
]
test_pipeline = [
    load_image,
    dict(type='Resize', scale=(160, 160), keep_ratio=True),
    load_annotations,
    dict(
        type='PackTextDetInputs',
        meta_keys=('img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    _delete_=True,
    batch_size=8,
    num_workers=0,
    sampler=dict(type='SeededInfiniteSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='SeededDataset',
        dataset=dict(
            scene,
            epoch_length=100000,
            seed=2,
            pipeline=train_pipeline,
        ),
    ),
)
val_dataloader = dict(
    _delete_=True,
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='SeededDataset',
        dataset=dict(
            scene,
            epoch_length=64,
            seed=3,
            test_mode=True,
            pipeline=test_pipeline,
        ),
    ),
)
model = dict(backbone=dict(init_cfg=None))
optim_wrapper = dict(optimizer=dict(lr=0.02))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=20, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=20, end=120, by_epoch=False),
]
train_cfg = dict(_delete_=True, type='ResumableIterTrainLoop', max_iters=120, val_interval=120)
test_dataloader = val_dataloader
val_evaluator = dict(type='HmeanIOUMetric')
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(_delete_=True, type='AtomicCheckpointHook', by_epoch=False, interval=60),
)
log_processor = dict(by_epoch=False, window_size=20)
