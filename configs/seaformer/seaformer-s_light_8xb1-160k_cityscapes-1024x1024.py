_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/cityscapes_1024x1024.py',
    '../_base_/models/seaformer.py',
    '../_base_/schedules/seaformer_160k.py',
]
model = dict(data_preprocessor=dict(size=(1024, 1024)))
train_dataloader = dict(batch_size=1)
optim_wrapper = dict(optimizer=dict(lr=3e-4))
auto_scale_lr = dict(base_batch_size=8)
