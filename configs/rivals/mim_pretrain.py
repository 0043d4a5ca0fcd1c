# Masked image modelling after SimMIM (arXiv 2111.09886) where odm_pretrain.py has ODM.
_base_ = '_base_/rival_512.py'

model = dict(
    _delete_=True,
    type='MaskedImageModel',
    data_preprocessor=_base_.model.data_preprocessor,
    image_encoder=dict(type='BackboneEncoder', backbone=_base_.model.image_encoder.backbone),
    patch_size=32,
    mask_ratio=0.6,
)
