# As odm_pretrain.py with the ResNet-50 of CLIP, for MMOCR's oCLIP configs.
_base_ = [
    '_base_/models/odm_clip-resnet50.py',
    '_base_/data/synthesized_512.py',
    '_base_/schedules/adamw_100e.py',
    '_base_/runtime.py',
]
