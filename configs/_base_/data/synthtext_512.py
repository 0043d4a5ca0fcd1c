# SynthText as tools/prepare_dataset.py writes it, validated on synthesized images as
# synthesized_512.py is, since SynthText has no other split. Another folder:
# --cfg-options train_dataloader.dataset.dataset.data_root=…
_base_ = 'synthesized_512.py'

train_dataloader = dict(
    sampler=dict(shuffle=True),
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='IndexedOCRDataset',
            data_root='data/synthtext',
            ann_file='textspotting_train.json',
            pipeline=[
                dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
                _base_.train_pipeline[1],
                dict(type='LoadCharPolygons'),
                *_base_.train_pipeline[2:],
            ],
        )
    ),
)
