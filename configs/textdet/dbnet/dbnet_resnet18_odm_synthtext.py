# DBNet with ResNet-18 on SynthText, from the backbone of odm_pretrain_resnet18.py.
_base_ = [
    'mmocr::textdet/dbnet/dbnet_resnet18_fpnc_100k_synthtext.py',
    '../_base_/odm_backbone_resnet18.py',
]
_base_.model.backbone.init_cfg = dict(
    _base_.pop('odm_backbone'), normalization=_base_.model.data_preprocessor
)
