# As odm_pretrain.py on the fully annotated images of LSVT, Chinese lines; what they need:
# _base_/data/lsvt_512.py. 64 epochs of 30,000 images.
_base_ = [
    '_base_/models/odm_resnet50.py',
    '_base_/data/lsvt_512.py',
    '_base_/schedules/adamw_100e.py',
    '_base_/runtime.py',
]

model = dict(text_controller=dict(vocabulary=_base_.vocabulary))
train_cfg = dict(max_iters=60000)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, end=2000, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=2000, eta_min=0, by_epoch=False),
]
