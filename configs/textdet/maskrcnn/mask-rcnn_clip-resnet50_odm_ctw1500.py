# Mask R-CNN with CLIP's ResNet-50 on CTW1500, from the backbone of odm_pretrain_clip-resnet50.py.
_base_ = [
    'mmocr::textdet/maskrcnn/mask-rcnn_resnet50-oclip_fpn_160e_ctw1500.py',
    '../_base_/odm_backbone_clip-resnet50.py',
]
_base_.model.cfg.backbone.init_cfg = dict(
    _base_.pop('odm_backbone'), normalization=_base_.model.cfg.data_preprocessor
)
