# TextSnake with CLIP's ResNet-50 on CTW1500, from the backbone of odm_pretrain_clip-resnet50.py.
_base_ = [
    'mmocr::textdet/textsnake/textsnake_resnet50-oclip_fpn-unet_1200e_ctw1500.py',
    '../_base_/odm_backbone_clip-resnet50.py',
]
_base_.model.backbone.init_cfg = dict(
    _base_.pop('odm_backbone'), normalization=_base_.model.data_preprocessor
)
