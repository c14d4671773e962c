# That search without a supernet: NSGA-II, each candidate trained for 75 steps and judged by its loss.
_base_ = './idd_lite_wide_surrogate_search.py'
train_cfg = dict(
    algorithm=dict(type='NSGA2'),
    evaluator=dict(
        _delete_=True, type='ShortTraining', options={'train_dataloader.dataset.part': 'fit'}, calibration_batches=4
    ),
    objectives=['train_loss', 'latency_ms'],
)
