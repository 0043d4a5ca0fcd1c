# Minutes on two CPU cores: ResNet-18 at 128x96, two words of ten in an image, in two fonts.
_base_ = ['_base_/models/odm_resnet18.py', '_base_/runtime.py']

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
    # Residual branches that start at zero would take most of these minutes to wake up.
    image_encoder=dict(embed_dims=128, grid=(3, 4), backbone=dict(zero_init_residual=False)),
    text_controller=dict(depth=2, num_heads=4, word_depth=2, word_heads=4, grid=(6, 8)),
    head=dict(channels=64, hidden_channels=(64, 32)),
    loss_seg=dict(positive_weight=2.0, dice_weight=1.0),
    loss_ocr=None,
    loss_contrastive=dict(loss_weight=0.1),
    loss_word=dict(type='WordContrastiveLoss', loss_weight=1.5),
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
optim_wrapper = dict(
    type='AutoAmpOptimWrapper',
    cpu_bfloat16=True,
    optimizer=dict(type='AdamW', lr=1.5e-3, betas=(0.9, 0.99), weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=2.0),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0),
)
train_cfg = dict(type='ResumableIterTrainLoop', max_iters=1700, val_interval=425)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=50, eta_min_ratio=0.02, by_epoch=False),
]
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=850, max_keep_ckpts=1))
