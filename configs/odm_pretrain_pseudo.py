# As odm_pretrain.py, half on real images that tools/pseudo_label.py has labelled; where they are
# and at which share: _base_/data/pseudo_512.py.
_base_ = [
    '_base_/models/odm_resnet50.py',
    '_base_/data/pseudo_512.py',
    '_base_/schedules/adamw_100e.py',
    '_base_/runtime.py',
]
