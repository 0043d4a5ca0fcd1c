# An hour and a half on two CPU cores: ResNet-18 at 192x128, any words, in all fonts at hand.
_base_ = [
    '_base_/models/odm_small.py',
    '_base_/schedules/adamw_small.py',
    '_base_/runtime.py',
]

vocabulary = dict(type='Vocabulary')
scene = dict(
    type='SynthesizedSceneText',
    size=(192, 128),
    words_per_image=(2, 4),
    text_height=(16, 32),
    contrast=80.0,
    max_rotation=10.0,
    vertical=0.0,
    curved=0.1,
    perspective=0.5,
    boards=0.2,
    effects=0.5,
    degradation=0.3,
)
model = dict(image_encoder=dict(grid=(4, 6)), text_controller=dict(grid=(8, 12)))
annotations = dict(
    type='LoadOCRAnnotations', with_polygon=True, with_bbox=True, with_label=True, with_text=True
)
train_pipeline = [
    dict(type='LoadImageFromNDArray'),
    annotations,
    dict(type='DropText', ratio=(0.3, 0.6), max_words=8),
    dict(type='NoiseText', ratio=(0.0, 1.0), max_words=8),
    dict(type='RenderDestylizedLabel', max_words=8),
    dict(type='PackODMInputs', vocabulary=vocabulary, max_words=8),
]
val_pipeline = [
    dict(type='LoadImageFromNDArray'),
    annotations,
    dict(type='DropText', ratio=(0.5, 0.5), max_words=8),
    dict(type='NoiseText', ratio=(0.5, 0.5), max_words=8),
    dict(type='RenderDestylizedLabel', with_dropped=True, max_words=8),
    dict(type='PackODMInputs', vocabulary=vocabulary, max_words=8),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='SeededInfiniteSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='SeededDataset',
        dataset=dict(scene, epoch_length=100000, seed=0, pipeline=train_pipeline),
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='SeededDataset',
        dataset=dict(scene, epoch_length=256, seed=1, test_mode=True, pipeline=val_pipeline),
    ),
)
val_evaluator = [
    dict(type='PromptControlMetric'),
    dict(type='DestylizationMetric'),
    dict(type='RetrievalMetric'),
]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
default_hooks = dict(logger=dict(interval=100), checkpoint=dict(interval=500, max_keep_ckpts=1))
