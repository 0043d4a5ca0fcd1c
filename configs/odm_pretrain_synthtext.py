# As odm_pretrain.py on SynthText, on which the paper pre-trains: its schedule passes the 858,750
# images 11 times.
_base_ = [
    '_base_/models/odm_resnet50.py',
    '_base_/data/synthtext_512.py',
    '_base_/schedules/adamw_100e.py',
    '_base_/runtime.py',
]
