# What the panoptic data sets share; each adds its files, pipelines and batches.
train_dataloader = dict(sampler=dict(type='InfiniteSampler', shuffle=True))
val_dataloader = dict(batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='PanopticQuality', metric=['PQ', 'mIoU'])
test_evaluator = val_evaluator
