# The quickstart's search on IDD-Lite, scored on training images held out from the weights.
_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/idd_lite.py',
    '../_base_/models/quickstart_supernet.py',
    '../_base_/searches/quickstart.py',
]
model = dict(data_preprocessor=dict(size={{_base_.crop_size}}), decode_head=dict(num_classes={{_base_.num_classes}}))
train_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(pipeline={{_base_.test_pipeline}})
)
val_dataloader = dict(dataset=dict(part='select', data_prefix={{_base_.train_prefix}}))
train_cfg = dict(
    supernet='work_dirs/quickstart/idd_lite/supernet/iter_1500.pth',
    subnet_config='idd_lite_subnet.py',
    input_hw=(227, 320),
)
