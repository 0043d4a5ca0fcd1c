# As odm_pretrain.py with a ResNet-18 and narrower layers around it.
_base_ = [
    '_base_/models/odm_resnet18.py',
    '_base_/data/synthesized_512.py',
    '_base_/schedules/adamw_100e.py',
    '_base_/runtime.py',
]
