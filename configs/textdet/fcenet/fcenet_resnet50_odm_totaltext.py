# FCENet with ResNet-50 on Total-Text, from the backbone of odm_pretrain.py.
_base_ = [
    'mmocr::textdet/fcenet/fcenet_resnet50_fpn_1500e_totaltext.py',
    '../_base_/odm_backbone_resnet50.py',
]
_base_.model.backbone.init_cfg = dict(
    _base_.pop('odm_backbone'), normalization=_base_.model.data_preprocessor
)
