# oCLIP (arXiv 2203.03911) where odm_pretrain.py has ODM; layers are as wide and as many as there.
_base_ = '_base_/rival_512.py'

model = dict(
    _delete_=True,
    type='OCLIP',
    data_preprocessor=_base_.model.data_preprocessor,
    image_encoder=_base_.model.image_encoder,
    word_encoder=dict(
        type='WordEncoder',
        vocabulary=_base_.vocabulary,
        word_dims=64,
        word_depth=6,
        word_heads=8,
    ),
    depth=6,
    num_heads=8,
    grid=(32, 32),
)
