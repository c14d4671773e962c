# A panoptic supernet for minutes on two CPU cores: one branch of 6 layers, base channels 4, 600 steps of 8 crops of toy
# streets; logits at stride 4, as objects are small.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/toy_streets_panoptic.py',
    '../../_base_/models/hyctas_panoptic_supernet.py',
    '../../_base_/schedules/panoptic_sgd_poly.py',
]
max_iters = 600
search_space = dict(layers=6, base_channels=4, max_branches=1, low_levels=('s4',))
model = dict(
    backbone=dict(search_space=search_space),
    panoptic_head=dict(
        search_space=search_space,
        num_things_classes=4,
        num_stuff_classes=7,
        loss_semantic=dict(anneal_steps=max_iters // 2),
    ),
    test_cfg=dict(nms_kernel=5, stuff_area_hw=(1024, 2048)),
)
# So few steps leave clipped SGD little time.
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-3), clip_grad=dict(max_norm=5.0)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', power=0.9, eta_min=1e-5, by_epoch=False, begin=50, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
custom_hooks = [dict(type='SampleArchHook', seed=0)]
model_wrapper_cfg = dict(type='SupernetDataParallel')
