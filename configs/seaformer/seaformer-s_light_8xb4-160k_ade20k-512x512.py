_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/models/seaformer.py',
    '../_base_/schedules/seaformer_160k.py',
]
model = dict(data_preprocessor=dict(size=(512, 512)), decode_head=dict(num_classes=150))
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
auto_scale_lr = dict(base_batch_size=32)
