# Minutes on two CPU cores: ResNet-18 at 128x96, two words of ten in an image, in two fonts.
_base_ = [
    '_base_/models/odm_small.py',
    '_base_/schedules/adamw_small.py',
    '_base_/runtime.py',
]

vocabulary = dict(type='Vocabulary')
words = [
    'open', 'exit', 'hotel', 'bank', 'taxi', 'coffee', 'police', 'museum', 'closed', 'sale',
]  # fmt: skip
scene = dict(
    type='SynthesizedSceneText',
    size=(128, 96),
    words=words,
    words_per_image=(2, 2),
    fonts=['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'],
    text_height=(20, 30),
    contrast=90.0,
    max_rotation=6.0,
    vertical=0.0,
    curved=0.0,
    perspective=0.5,
    boards=0.2,
    effects=0.3,
    degradation=0.2,
    texture_share=1.0,
)
model = dict(
    image_encoder=dict(embed_dims=128, grid=(3, 4)),
    text_controller=dict(word_depth=2, grid=(6, 8)),
)
annotations = dict(
    type='LoadOCRAnnotations', with_polygon=True, with_bbox=True, with_label=True, with_text=True
)
train_pipeline = [
    dict(type='LoadImageFromNDArray'),
    annotations,
    dict(type='DropText', ratio=(0.4, 0.5), max_words=4),
    dict(type='NoiseText', ratio=(0.0, 1.0), words=words, max_words=4),
    dict(type='RenderDestylizedLabel', max_words=4),
    dict(type='PackODMInputs', vocabulary=vocabulary, max_words=4),
]
val_pipeline = [
    dict(type='LoadImageFromNDArray'),
    annotations,
    dict(type='DropText', ratio=(0.5, 0.5), max_words=4),
    dict(type='NoiseText', ratio=(0.5, 0.5), words=words, max_words=4),
    dict(type='RenderDestylizedLabel', with_dropped=True, max_words=4),
    dict(type='PackODMInputs', vocabulary=vocabulary, max_words=4),
]
train_dataloader = dict(
    batch_size=8,
    # A worker would fight with the threads of the training for two cores: slower in all.
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
optim_wrapper = dict(optimizer=dict(lr=1.5e-3))
train_cfg = dict(max_iters=1700, val_interval=425)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=50, eta_min_ratio=0.02, by_epoch=False),
]
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=850, max_keep_ckpts=1))
