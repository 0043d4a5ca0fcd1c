# As synthesized_512.py, validated on real words too: the test images of ICDAR 2015 as
# tools/prepare_dataset.py writes them. Figures are called synthesized/… and icdar2015/….
# Another folder: --cfg-options val_dataloader.dataset.dataset.datasets.1.data_root=…
# and test_dataloader.dataset.dataset.datasets.1.data_root=… for tools/test.py.
_base_ = 'synthesized_512.py'

both = dict(
    type='ConcatDataset',
    datasets=[
        _base_.val_dataloader.dataset.dataset,
        dict(
            type='OCRDataset',
            data_root='data/icdar2015',
            ann_file='textspotting_test.json',
            test_mode=True,
            pipeline=[
                dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
                *_base_.val_pipeline[1:],
            ],
        ),
    ],
    verify_meta=False,
)
evaluator = dict(
    type='MultiDatasetsEvaluator',
    metrics=_base_.val_evaluator,
    dataset_prefixes=['synthesized', 'icdar2015'],
)
val_dataloader = dict(dataset=dict(dataset=dict(both, _delete_=True)))
test_dataloader = dict(dataset=dict(dataset=dict(both, _delete_=True)))
val_evaluator = dict(evaluator, _delete_=True)
test_evaluator = dict(evaluator, _delete_=True)
