# Landmarks of that space: 300 steps on the images that the supernet saw, scored on validation images and on those held
# out.
_base_ = '../panoptic/nuclei/hyctas_subnet_1xb8-300_nuclei-160x160.py'
search_space = dict(
    layers=8,
    base_channels=4,
    stem_widths=(4, 8, 12),
    head_widths=(4, 8, 12),
    low_levels=('s4',),
    head_attentions=(False, True),
)
held_out = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type={{_base_.dataset_type}},
        data_root={{_base_.data_root}},
        ann_file='panoptic_train.json',
        data_prefix=dict(img='images/train', seg='panoptic_train'),
        indices={{_base_.select_images}},
        pipeline={{_base_.test_pipeline}},
    ),
)
train_dataloader = dict(dataset=dict(indices={{_base_.fit_images}}))
optim_wrapper = dict(type='Bfloat16OptimWrapper')
default_hooks = dict(channels_last=dict(type='ChannelsLastHook'))
custom_hooks = [dict(type='LearningCurveHook', steps=[300], dataloaders=dict(held_out=held_out), loss='loss_semantic')]
