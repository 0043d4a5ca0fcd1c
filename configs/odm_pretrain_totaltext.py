# As odm_pretrain_icdar2015.py on Total-Text: 1255 images, words along curves.
_base_ = 'odm_pretrain_icdar2015.py'

dataset = dict(dataset=dict(data_root='data/totaltext'))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
