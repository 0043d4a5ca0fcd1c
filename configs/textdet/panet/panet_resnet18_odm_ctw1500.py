# PANet with ResNet-18 on CTW1500, from the backbone of odm_pretrain_resnet18.py.
_base_ = [
    'mmocr::textdet/panet/panet_resnet18_fpem-ffm_600e_ctw1500.py',
    '../_base_/odm_backbone_resnet18.py',
]
# ODM's ResNet-18 begins with one 7x7 convolution.
_base_.model.backbone.update(deep_stem=False, stem_channels=64)
_base_.model.backbone.init_cfg = dict(
    _base_.pop('odm_backbone'), normalization=_base_.model.data_preprocessor
)
