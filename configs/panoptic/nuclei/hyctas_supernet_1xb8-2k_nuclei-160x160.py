# A panoptic supernet small enough for two CPU cores: 8 layers, base channels 4, 2000 steps of 8 crops; logits at stride
# 4, as nuclei are small. Adam, and a loss that starts with all pixels: docs/results/nuclei.md.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/nuclei_panoptic.py',
    '../../_base_/models/hyctas_panoptic_supernet.py',
    '../../_base_/schedules/panoptic_sgd_poly.py',
]
max_iters = 2000
search_space = dict(layers=8, base_channels=4, low_levels=('s4',))
model = dict(
    backbone=dict(search_space=search_space),
    panoptic_head=dict(
        search_space=search_space,
        num_things_classes=1,
        num_stuff_classes=1,
        loss_semantic=dict(anneal_steps=max_iters // 2),
    ),
    test_cfg=dict(nms_kernel=5, top_k=400, stuff_area=0),
)
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-3), clip_grad=dict(max_norm=5.0)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
custom_hooks = [dict(type='SampleArchHook', seed=0)]
model_wrapper_cfg = dict(type='SupernetDataParallel')
