# As odm_pretrain.py, validated on the ICDAR 2015 test images besides.
_base_ = [
    '_base_/models/odm_resnet50.py',
    '_base_/data/synthesized_512_val-icdar2015.py',
    '_base_/schedules/adamw_100e.py',
    '_base_/runtime.py',
]
