# What every panoptic config shares: as default_runtime.py, in mmdet's scope.
custom_imports = dict(imports=['hyctas_mm.register'], allow_failed_imports=False)
default_scope = 'mmdet'
env_cfg = dict(
    cudnn_benchmark=True, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl')
)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='PanopticVisualizer', vis_backends=vis_backends)
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
