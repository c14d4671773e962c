# Writes what S predicts on Cityscapes' test images, for the test server: Table 3's column "test".
_base_ = './hyctas-s_4xb8-186k_cityscapes-512x1024.py'
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(_delete_=True, img_path='leftImg8bit/test'),
        test_mode=True,
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackSegInputs')],
    )
)
test_evaluator = dict(_delete_=True, type='CityscapesSubmission', out_dir='work_dirs/hyctas-s_cityscapes_test')
