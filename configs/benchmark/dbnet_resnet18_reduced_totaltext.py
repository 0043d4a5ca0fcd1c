# dbnet_resnet18_reduced_icdar2015.py for Total-Text, or for what tools/make_curved_benchmark.py has
# generated: --cfg-options train_dataloader.dataset.dataset.data_root=… val_dataloader.dataset.data_root=…
_base_ = 'dbnet_resnet18_reduced_icdar2015.py'

model = dict(det_head=dict(postprocessor=dict(text_repr_type='poly', epsilon_ratio=0.02)))
load, fix = _base_.load, dict(type='FixInvalidPolygon', min_poly_points=4)
train_pipeline = [
    *load,
    fix,
    # Images of 640x640: text is 0.35 to 0.83 times as large, in the tests 0.75 times.
    dict(_base_.train_pipeline[2], crop=(0.36, 0.86)),
    *_base_.train_pipeline[3:],
]
test_pipeline = [
    load[0],
    dict(type='Resize', scale=(480, 480), keep_ratio=True),
    load[1],
    fix,
    _base_.test_pipeline[-1],
]
train_dataloader = dict(
    dataset=dict(dataset=dict(data_root='data/totaltext', pipeline=train_pipeline))
)
val_dataloader = dict(dataset=dict(data_root='data/totaltext', pipeline=test_pipeline))
test_dataloader = val_dataloader
