# ODM as in the paper: ResNet-50, 512x512, on images that are synthesized while it trains.
_base_ = [
    '_base_/models/odm_resnet50.py',
    '_base_/data/synthesized_512.py',
    '_base_/schedules/adamw_100e.py',
    '_base_/runtime.py',
]
