# PANet with ResNet-50 on ICDAR 2017, from the backbone of odm_pretrain.py.
_base_ = [
    'mmocr::textdet/panet/panet_resnet50_fpem-ffm_600e_icdar2017.py',
    '../_base_/odm_backbone_resnet50.py',
]
# ODM's ResNet-50 has its strides on the 3x3 convolutions.
_base_.model.backbone.style = 'pytorch'
_base_.model.backbone.init_cfg = dict(
    _base_.pop('odm_backbone'), normalization=_base_.model.data_preprocessor
)
