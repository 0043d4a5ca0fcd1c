# DRRG with ResNet-50 on CTW1500, from the backbone of odm_pretrain.py.
_base_ = [
    'mmocr::textdet/drrg/drrg_resnet50_fpn-unet_1200e_ctw1500.py',
    '../_base_/odm_backbone_resnet50.py',
]
# ODM's ResNet-50 has its strides on the 3x3 convolutions.
_base_.model.backbone.style = 'pytorch'
_base_.model.backbone.init_cfg = dict(
    _base_.pop('odm_backbone'), normalization=_base_.model.data_preprocessor
)
