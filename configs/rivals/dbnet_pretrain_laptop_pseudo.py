# Supervised pre-training where odm_pretrain_laptop_pseudo.py has ODM: a stock DBNet learns to find
# the words.
_base_ = '_base_/rival_laptop_pseudo.py'

model = dict(
    _delete_=True,
    type='DBNet',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=_base_.model.image_encoder.backbone,
    neck=dict(type='FPNC', in_channels=[64, 128, 256, 512], lateral_channels=256),
    det_head=dict(
        type='DBHead',
        in_channels=256,
        module_loss=dict(type='DBModuleLoss'),
        postprocessor=dict(type='DBPostprocessor', text_repr_type='quad'),
    ),
)
