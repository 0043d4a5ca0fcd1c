# DBNet with ResNet-50 on ICDAR 2015, from the backbone of odm_pretrain.py.
_base_ = [
    'mmocr::textdet/dbnet/dbnet_resnet50_1200e_icdar2015.py',
    '../_base_/odm_backbone_resnet50.py',
]
_base_.model.backbone.init_cfg = dict(
    _base_.pop('odm_backbone'), normalization=_base_.model.data_preprocessor
)
