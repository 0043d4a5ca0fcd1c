# DBNet with ResNet-50-DCN on SynthText, from the backbone of odm_pretrain.py.
_base_ = [
    # MMOCR's own DBNet of this kind does not load, its DBNet++ on the same data does.
    'mmocr::textdet/dbnetpp/dbnetpp_resnet50-dcnv2_fpnc_100k_synthtext.py',
    '../_base_/odm_backbone_resnet50.py',
]
_base_.model.neck.pop('asf_cfg')
_base_.model.det_head.postprocessor.pop('epsilon_ratio')
_base_.model.backbone.init_cfg = dict(
    _base_.pop('odm_backbone'), normalization=_base_.model.data_preprocessor
)
