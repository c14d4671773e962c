# Writes what L predicts on Cityscapes' test images, for the test server: segments, and classes alone. The paper has
# panoptic results on the validation images only.
_base_ = './hyctas-l_8xb4-186k_cityscapes-panoptic-512x1024.py'
things = ['person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle']
stuff = [
    'road',
    'sidewalk',
    'building',
    'wall',
    'fence',
    'pole',
    'traffic light',
    'traffic sign',
    'vegetation',
    'terrain',
    'sky',
]
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmseg.CityscapesDataset',  # lists images; CityscapesPanoptic wants their segments
        data_root='data/cityscapes',
        data_prefix=dict(img_path='leftImg8bit/test'),
        metainfo=dict(classes=[*things, *stuff]),
        test_mode=True,
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackPanopticInputs')],
    )
)
test_evaluator = dict(_delete_=True, type='CityscapesSubmission', out_dir='work_dirs/hyctas-l_panoptic_cityscapes_test')
