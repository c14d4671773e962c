# Landmarks of the wide space: networks trained alike, scored on validation images and on training drives held out.
_base_ = './idd_lite_subnet.py'
search_space = dict(
    layers=8,
    base_channels=6,
    stem_widths=(4, 8, 12),
    head_widths=(4, 8, 12),
    low_levels=('none', 's4'),
    head_attentions=(False, True),
)
held_out = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type={{_base_.dataset_type}},
        data_root={{_base_.data_root}},
        data_prefix={{_base_.train_prefix}},
        part='select',
        pipeline={{_base_.test_pipeline}},
    ),
)
custom_hooks = [dict(type='LearningCurveHook', steps=[30, 75, 150, 300], dataloaders=dict(held_out=held_out))]
