# Endless synthesized images; the first epoch_length of them are called an epoch.
vocabulary = dict(type='Vocabulary')
annotations = dict(
    type='LoadOCRAnnotations', with_polygon=True, with_bbox=True, with_label=True, with_text=True
)
train_pipeline = [
    dict(type='LoadImageFromNDArray'),
    annotations,
    dict(type='IgnoreUnknownText', vocabulary=vocabulary),
    dict(type='WarpScene', scale=(512, 512)),
    dict(
        type='RandomApply',
        prob=0.5,
        transforms=[
            dict(
                type='TorchVisionWrapper',
                op='ColorJitter',
                brightness=0.4,
                contrast=0.4,
                saturation=0.4,
                hue=0.1,
            )
        ],
    ),
    dict(type='RandomChoice', transforms=[[dict(type='DropText')], [dict(type='NoiseText')]]),
    dict(type='RenderDestylizedLabel'),
    dict(type='PackODMInputs', vocabulary=vocabulary),
]
# Half of the words are prompted, so that the ink of the others shows as leak, and as many noise
# words as half of those.
val_pipeline = [
    dict(type='LoadImageFromNDArray'),
    annotations,
    dict(type='IgnoreUnknownText', vocabulary=vocabulary),
    dict(type='WarpScene', scale=(512, 512), augment=False),
    dict(type='DropText', ratio=(0.5, 0.5)),
    dict(type='NoiseText', ratio=(0.5, 0.5)),
    dict(type='RenderDestylizedLabel', with_dropped=True),
    dict(type='PackODMInputs', vocabulary=vocabulary),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=False),
    collate_fn=dict(type='packed_collate'),
    dataset=dict(
        type='SeededDataset',
        dataset=dict(
            type='SynthesizedSceneText',
            size=(640, 640),
            words_per_image=(1, 12),
            epoch_length=100000,
            seed=0,
            pipeline=train_pipeline,
        ),
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='packed_collate'),
    dataset=dict(
        type='SeededDataset',
        dataset=dict(
            type='SynthesizedSceneText',
            size=(512, 512),
            words_per_image=(1, 12),
            epoch_length=256,
            seed=1,
            test_mode=True,
            pipeline=val_pipeline,
        ),
    ),
)
val_evaluator = [
    dict(type='PromptControlMetric'),
    dict(type='DestylizationMetric'),
    dict(type='RetrievalMetric'),
]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
