# As odm_pretrain.py on the real words of ICDAR 2015: 1000 images, so the schedule is shorter.
# Best started from a run on synthesized images: --cfg-options load_from=CHECKPOINT
_base_ = [
    '_base_/models/odm_resnet50.py',
    '_base_/data/icdar2015_512.py',
    '_base_/schedules/adamw_100e.py',
    '_base_/runtime.py',
]

train_cfg = dict(max_iters=10000, val_interval=1000)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, end=500, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=500, eta_min=0, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=1000))
