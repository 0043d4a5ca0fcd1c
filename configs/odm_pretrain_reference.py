# As odm_pretrain.py in the released architecture, CRAFT in L_ocr. docs/checkpoints.md: how to
# start from the released weights.
_base_ = [
    '_base_/models/odm_reference.py',
    '_base_/data/synthesized_512.py',
    '_base_/schedules/adamw_100e.py',
    '_base_/runtime.py',
]
