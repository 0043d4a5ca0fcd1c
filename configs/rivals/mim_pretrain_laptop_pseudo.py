# Masked image modelling after SimMIM (arXiv 2111.09886) where odm_pretrain_laptop_pseudo.py has ODM.
_base_ = '_base_/rival_laptop_pseudo.py'

model = dict(
    _delete_=True,
    type='MaskedImageModel',
    data_preprocessor=_base_.model.data_preprocessor,
    image_encoder=dict(type='BackboneEncoder', backbone=_base_.model.image_encoder.backbone),
    # Of 32, an image of 192x128 has no more than 24.
    patch_size=16,
    mask_ratio=0.6,
)
