# The quickstart's search on toy streets, scored on a training city held out from the weights.
_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/toy_streets.py',
    '../_base_/models/quickstart_supernet.py',
    '../_base_/searches/quickstart.py',
]
model = dict(data_preprocessor=dict(size={{_base_.crop_size}}), decode_head=dict(num_classes={{_base_.num_classes}}))
train_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(pipeline={{_base_.test_pipeline}})
)
val_dataloader = dict(dataset=dict(data_prefix={{_base_.train_prefix}}, indices=32))
train_cfg = dict(
    supernet='work_dirs/quickstart/toy_streets/supernet/iter_1200.pth',
    subnet_config='toy_streets_subnet.py',
    input_hw=(128, 256),
)
