# Real images whose words an OCR engine has guessed, mixed with synthesized ones, as in
# synthesized_512.py, by which it is validated too. What to set, by --cfg-options:
# - the pseudo-labelled images, a folder and what tools/pseudo_label.py has made of it:
#   train_dataloader.dataset.dataset.datasets.0.data_root=… and ….datasets.0.ann_file=…
# - labelled images, if there are any: ….datasets.2.data_root=… and ….datasets.2.ann_file=…
# - shares of pseudo-labelled, synthesized and labelled images:
#   train_dataloader.dataset.dataset.ratios=0.4,0.4,0.2
# - how much the scores count: ….datasets.0.pipeline.7.score_power=0 for not at all
_base_ = 'synthesized_512.py'

score_power = 1.0
real = dict(
    type='IndexedOCRDataset',
    pipeline=[
        dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
        _base_.annotations,
        dict(type='LoadTextScores'),
        *_base_.train_pipeline[2:6],
        dict(type='RenderDestylizedLabel', score_power=score_power),
        _base_.train_pipeline[7],
    ],
)
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='MixedDataset',
            ratios=[0.5, 0.5, 0.0],
            epoch_length=100000,
            datasets=[
                dict(real, data_root='data/pseudo_labelled', ann_file='annotations.json'),
                _base_.train_dataloader.dataset.dataset,
                dict(real, data_root='data/icdar2015', ann_file='textspotting_train.json'),
            ],
        )
    )
)
