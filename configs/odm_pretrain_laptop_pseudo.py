# Real images whose words an OCR engine has guessed, mixed with synthesized ones, on two CPU cores:
# goes on from a run of odm_pretrain_laptop.py. What to set, by --cfg-options:
# - the pseudo-labelled images, a folder and what tools/pseudo_label.py has made of it:
#   train_dataloader.dataset.dataset.datasets.0.data_root=… and ….datasets.0.ann_file=…
# - the run to start from: load_from=CHECKPOINT
# - labelled images to validate on: val_dataloader.dataset.dataset.data_root=… and ….ann_file=…,
#   and test_dataloader.dataset.dataset.… likewise for tools/test.py
# - labelled images to train on, if there are any: ….datasets.2.data_root=… and ….ann_file=…
# - shares of pseudo-labelled, synthesized and labelled images:
#   train_dataloader.dataset.dataset.ratios=0.4,0.4,0.2
# - how much the scores count: ….datasets.0.pipeline.7.score_power=0 for not at all
_base_ = 'odm_pretrain_laptop.py'

score_power = 1.0
load = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    _base_.annotations,
    dict(type='IgnoreUnknownText', vocabulary=_base_.vocabulary),
]
real = dict(
    type='OCRDataset',
    pipeline=[
        *load,
        dict(type='LoadTextScores'),
        # In a view of the whole photograph most words would be too low to be read.
        dict(
            type='WarpScene',
            scale=(192, 128),
            crop=(0.1, 0.3),
            rotation=10.0,
            shear=5.0,
            perspective=0.05,
            min_text_height=8.0,
        ),
        *_base_.train_pipeline[2:4],
        dict(_base_.train_pipeline[4], score_power=score_power),
        _base_.train_pipeline[5],
    ],
)
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='MixedDataset',
            ratios=[0.5, 0.5, 0.0],
            epoch_length=2000,
            datasets=[
                dict(real, data_root='data/pseudo_labelled', ann_file='annotations.json'),
                # Of another seed than in the run before.
                dict(
                    _base_.scene,
                    epoch_length=100000,
                    seed=2,
                    pipeline=_base_.train_pipeline,
                ),
                dict(real, data_root='data/icdar2015', ann_file='textspotting_train.json'),
            ],
        )
    )
)
val_dataset = dict(
    _delete_=True,
    type='OCRDataset',
    data_root='data/icdar2015',
    ann_file='textspotting_test.json',
    test_mode=True,
    pipeline=[
        *load,
        # A view around a word, the same in every validation.
        dict(
            type='WarpScene',
            scale=(192, 128),
            crop=(0.15, 0.25),
            stretch=(1.0, 1.0),
            distort_prob=0.0,
            keep_word_prob=1.0,
            min_text_height=8.0,
        ),
        *_base_.val_pipeline[2:],
    ],
)
val_dataloader = dict(dataset=dict(dataset=val_dataset))
test_dataloader = dict(dataset=dict(dataset=val_dataset))
optim_wrapper = dict(optimizer=dict(lr=6e-4))
train_cfg = dict(max_iters=2000)
