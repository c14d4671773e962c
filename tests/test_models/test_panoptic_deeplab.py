"""The panoptic detector: what it is trained with, what it predicts, and that a subnet cut out of the supernet computes
the same.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from torch import Tensor, nn

from hyctas_mm.archs import SearchSpace
from hyctas_mm.datasets.panoptic import build_targets
from hyctas_mm.engine.scoring import recalibrate_bn
from hyctas_mm.evaluation import INSTANCE_OFFSET, PanopticQuality
from hyctas_mm.models import cut_subnet, set_arch
from hyctas_mm.models.post_processing import PanopticMaps
from tests.conftest import WIDE
from tests.test_datasets.panoptic_fixtures import CLASSES, Segment, random_scene
from tests.test_models.test_subnet import awake, batches, relative_error

THINGS, STUFF = 2, 2
VOID = THINGS + STUFF
HEIGHT, WIDTH = 96, 160
"""At stride 32 the head's attention, which halves its map, has two keys left: with one there is nothing to learn."""
META = dict(classes=CLASSES, thing_classes=CLASSES[:THINGS], stuff_classes=CLASSES[THINGS:])


def detector_cfg(test_cfg: dict[str, Any] | None = None, aux_weight: float = 0.2, **network: Any) -> dict[str, Any]:
    """Config of a small detector; ``network`` is ``arch`` and ``base_channels``, or ``search_space``."""
    return dict(
        type='PanopticDeepLab',
        data_preprocessor=dict(type='mmdet.DetDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, pad_size_divisor=32),
        backbone=dict(type='HyCTASBackbone', outputs='branches', **network),
        panoptic_head=dict(
            type='HyCTASPanopticHead',
            num_things_classes=THINGS,
            num_stuff_classes=STUFF,
            aux_weight=aux_weight,
            **network,
        ),
        test_cfg=dict(stuff_area=0) | (test_cfg or {}),
    )


def build(arch: str | dict[str, Any] = 'hyctas-s', **options: Any) -> nn.Module:
    model = MODELS.build(ConfigDict(detector_cfg(arch=arch, base_channels=2, **options)))
    model.init_weights()
    return awake(model)


def meta(img_shape: tuple[int, int], ori_shape: tuple[int, int] | None = None) -> dict[str, Any]:
    return dict(img_shape=img_shape, ori_shape=ori_shape or img_shape, img_path='image.png')


def labelled(things: int = 6, seed: int = 0) -> DetDataSample:
    """A training sample of a scene of rectangles."""
    ids, segments = random_scene(np.random.default_rng(seed), (HEIGHT, WIDTH), things)
    maps = build_targets(ids, segments)
    sample = DetDataSample(metainfo=meta((HEIGHT, WIDTH)))
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(maps.semantic)[None])
    names = ('center', 'offset', 'center_weight', 'offset_weight', 'semantic_weight')
    sample.gt_panoptic_maps = PixelData(**{name: torch.from_numpy(getattr(maps, name)) for name in names})
    return sample


def images(number: int, height: int = HEIGHT, width: int = WIDTH) -> list[Tensor]:
    return list(torch.randint(0, 256, (number, 3, height, width), dtype=torch.uint8))


def losses(model: nn.Module, samples: Sequence[DetDataSample]) -> dict[str, Tensor]:
    data = model.data_preprocessor(dict(inputs=images(len(samples)), data_samples=list(samples)), training=True)
    return model(**data, mode='loss')


# Training -------------------------------------------------------------------------------------------------------------

MAIN = {'loss_semantic', 'loss_center', 'loss_offset'}


@pytest.mark.parametrize('arch', ['hyctas-s', 'hyctas-l'])
def test_losses_reach_every_parameter(arch: str) -> None:
    model = build(arch).train()
    found = losses(model, [labelled(seed=0), labelled(seed=1)])
    assert set(found) == MAIN | {f'aux{stride}.{name}' for stride in (16, 32) for name in MAIN}
    assert all(value.ndim == 0 and value.isfinite() and value > 0 for value in found.values())
    total, _ = model.parse_losses(found)
    assert float(total) == pytest.approx(sum(float(v) for v in found.values()), rel=1e-5)
    total.backward()
    silent = [
        n for n, p in model.named_parameters() if p.grad is None or not p.grad.any() or not p.grad.isfinite().all()
    ]
    # the softmax over keys does not change with their bias, so its gradient may vanish
    assert [n for n in silent if not n.endswith('key.bias')] == []


def test_images_without_instances_are_trained_on() -> None:
    model = build().train()
    found = losses(model, [labelled(things=0, seed=0), labelled(things=0, seed=1)])
    assert all(value.isfinite() for value in found.values())
    assert found['loss_offset'] == 0 < found['loss_center'] and found['aux32.loss_offset'] == 0
    model.parse_losses(found)[0].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_auxiliary_parts_are_those_of_training_only() -> None:
    assert set(losses(build(aux_weight=0).train(), [labelled(seed=s) for s in range(2)])) == MAIN
    with torch.no_grad():
        semantic, center, offset = build().eval()(torch.rand(1, 3, HEIGHT, WIDTH), mode='tensor')
    assert semantic.shape == (1, VOID, HEIGHT // 8, WIDTH // 8)
    assert center.shape == (1, 1, *semantic.shape[2:]) and offset.shape == (1, 2, *semantic.shape[2:])


def test_mmdets_cross_entropy_leaves_void_out() -> None:
    """The loss of the COCO config: weighted, mean over the pixels that are not void."""
    loss = MODELS.build(dict(type='mmdet.CrossEntropyLoss', ignore_index=255, avg_non_ignore=True))
    logits, labels = torch.randn(2, VOID, 5, 7), torch.randint(0, VOID, (2, 5, 7))
    labels[:, :2] = 255
    weight = torch.where(torch.rand(2, 5, 7) < 0.5, 3.0, 1.0)
    each = nn.functional.cross_entropy(logits, labels, ignore_index=255, reduction='none') * weight
    torch.testing.assert_close(loss(logits, labels, weight=weight), each.sum() / (labels != 255).sum())


# Predicting -----------------------------------------------------------------------------------------------------------


def known_maps(height: int, width: int, centers: Sequence[tuple[int, int]], label: int = 1) -> PanopticMaps:
    """Maps of squares of 9x9 pixels of one class around their centres, on the last stuff class."""
    semantic = torch.zeros(1, VOID, height, width)
    semantic[:, VOID - 1] = 10
    center, offset = torch.zeros(1, 1, height, width), torch.zeros(1, 2, height, width)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    for row, column in centers:
        square = ((rows - row).abs() <= 4) & ((columns - column).abs() <= 4)
        semantic[0, label][square] = 20
        distance = (rows - row) ** 2 + (columns - column) ** 2
        center[0, 0] = torch.maximum(center[0, 0], torch.exp(-distance / 8))
        offset[0, 0][square], offset[0, 1][square] = (row - rows)[square].float(), (column - columns)[square].float()
    return PanopticMaps(semantic, center, offset)


def predict_known(
    maps: PanopticMaps, info: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **options: Any
) -> DetDataSample:
    model = build().eval()
    monkeypatch.setattr(model, 'predict_maps', lambda _: maps)
    return model.predict(torch.zeros(1, 3, *maps.center.shape[2:]), [DetDataSample(metainfo=info)], **options)[0]


def test_predictions_are_in_mmdets_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = predict_known(known_maps(64, 96, [(20, 20), (20, 32), (50, 80)]), meta((64, 96)), monkeypatch)
    assert isinstance(sample, DetDataSample)
    panoptic, found = sample.pred_panoptic_seg.sem_seg, sample.pred_instances
    assert panoptic.shape == (1, 64, 96) and panoptic.dtype == torch.int64
    assert set(panoptic.unique().tolist()) == {VOID - 1, *found.panoptic_ids.tolist()}
    assert (found.panoptic_ids % INSTANCE_OFFSET).tolist() == found.labels.tolist() == [1, 1, 1]
    assert sorted((found.panoptic_ids // INSTANCE_OFFSET).tolist()) == [1, 2, 3]
    assert all((panoptic == value).sum() == 81 for value in found.panoptic_ids)
    assert panoptic[0, 20, 20] != panoptic[0, 20, 32] and ((found.scores > 0) & (found.scores <= 1)).all()
    assert sample.pred_sem_seg.sem_seg.shape == (1, 64, 96) and set(sample.pred_sem_seg.sem_seg.unique().tolist()) == {
        1,
        VOID - 1,
    }


def test_padding_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = known_maps(64, 96, [(20, 20), (55, 20), (20, 85)])
    sample = predict_known(maps, meta((48, 64)), monkeypatch)
    assert sample.pred_panoptic_seg.sem_seg.shape == (1, 48, 64) and len(sample.pred_instances) == 1
    poisoned = PanopticMaps(*(m.clone() for m in maps))
    for part in poisoned:
        part[:, :, 48:], part[:, :, :, 64:] = 1e3, 1e3
    again = predict_known(poisoned, meta((48, 64)), monkeypatch)
    assert torch.equal(again.pred_panoptic_seg.sem_seg, sample.pred_panoptic_seg.sem_seg)


@pytest.mark.parametrize('ori_shape', [(128, 288), (32, 96), (64, 96)])
def test_offsets_are_pixels_of_the_original_image(ori_shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbouring squares stay apart at the original size, which takes offsets that are scaled by each direction's
    own ratio.
    """
    centers = [(20, 20), (20, 32), (32, 20), (50, 80)]
    sample = predict_known(known_maps(64, 96, centers), meta((64, 96), ori_shape), monkeypatch)
    panoptic = sample.pred_panoptic_seg.sem_seg[0]
    assert panoptic.shape == ori_shape and len(sample.pred_instances) == 4
    scale = [ori_shape[0] / 64, ori_shape[1] / 96]
    owners = [int(panoptic[int(row * scale[0]), int(column * scale[1])]) for row, column in centers]
    assert len(set(owners)) == 4 and set(owners) == set(sample.pred_instances.panoptic_ids.tolist())
    for value, (row, column) in zip(owners, centers):
        pixels = (panoptic == value).nonzero().float()
        middle = torch.tensor([(row + 0.5) * scale[0] - 0.5, (column + 0.5) * scale[1] - 0.5])
        assert (pixels.mean(0) - middle).abs().max() < max(1.0, *scale)
        assert len(pixels) == pytest.approx(81 * scale[0] * scale[1], rel=0.3)
    unscaled = predict_known(known_maps(64, 96, centers), meta((64, 96), ori_shape), monkeypatch, rescale=False)
    assert unscaled.pred_panoptic_seg.sem_seg.shape == (1, 64, 96)


def test_an_image_without_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """No centre and no stuff that is large enough: all void, and still a prediction that is scored."""
    maps = known_maps(64, 96, [])
    model = build(test_cfg=dict(stuff_area=10**6)).eval()
    monkeypatch.setattr(model, 'predict_maps', lambda _: maps)
    sample = model.predict(torch.zeros(1, 3, 64, 96), [DetDataSample(metainfo=meta((64, 96)))])[0]
    assert sample.pred_panoptic_seg.sem_seg.unique().tolist() == [VOID]
    assert len(sample.pred_instances) == 0 and len(sample.pred_instances.scores) == 0
    assert score(sample, *random_scene(np.random.default_rng(0), (64, 96), 4))['PQ'] == 0


def score(sample: DetDataSample, ids: np.ndarray, segments: list[Segment]) -> dict[str, float]:
    metric = PanopticQuality(metric=['PQ', 'mIoU', 'AP'])
    metric.dataset_meta = META
    sample.gt_panoptic_seg = PixelData(sem_seg=torch.from_numpy(ids.astype(np.int64))[None])
    sample.set_metainfo(dict(gt_segments_info=segments))
    metric.process(None, [sample.to_dict()])
    return metric.compute_metrics(metric.results)


@torch.no_grad()
def test_a_batch_of_images_of_different_sizes() -> None:
    """From uint8 images to what the metric scores; each image is predicted at its own size."""
    model = build().eval()
    shapes = [(40, 70), (64, 33)]
    data = dict(
        inputs=[images(1, *shape)[0] for shape in shapes],
        data_samples=[DetDataSample(metainfo=meta(shape)) for shape in shapes],
    )
    found = model.test_step(data)
    for sample, shape in zip(found, shapes):
        panoptic = sample.pred_panoptic_seg.sem_seg
        assert panoptic.shape == (1, *shape)
        labels, numbers = panoptic % INSTANCE_OFFSET, panoptic // INSTANCE_OFFSET
        assert labels.max() <= VOID and ((numbers > 0) == (labels < THINGS)).all()
        assert 0 <= score(sample, *random_scene(np.random.default_rng(0), shape, 4))['PQ'] <= 100


# Several sizes and mirrored -------------------------------------------------------------------------------------------


def mirrored(maps: PanopticMaps) -> PanopticMaps:
    semantic, center, offset = (m.flip(3) for m in maps)
    return PanopticMaps(semantic, center, offset * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1))


def assert_same(ours: PanopticMaps, theirs: PanopticMaps) -> None:
    """Equal up to what a softmax leaves open."""
    torch.testing.assert_close(ours.semantic.softmax(1), theirs.semantic.softmax(1), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours.center, theirs.center, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours.offset, theirs.offset, rtol=1e-3, atol=1e-2)


@torch.no_grad()
def test_flipping_makes_predictions_symmetric() -> None:
    model = build(test_cfg=dict(scales=(0.5, 1.0), flip=True)).eval()
    image = torch.randn(1, 3, HEIGHT, WIDTH)
    assert_same(model.predict_maps(image.flip(3)), mirrored(model.predict_maps(image)))
    model.flip = False
    with pytest.raises(AssertionError):
        assert_same(model.predict_maps(image.flip(3)), mirrored(model.predict_maps(image)))


@torch.no_grad()
def test_flipping_changes_nothing_for_a_symmetric_network() -> None:
    """Kernels are their own mirror images, nothing points right.

    Strided kernels are symmetric on odd widths only, so no cell goes down.
    """
    cells = [dict(op=op, width=12, down=False) for op in ('lite_conv_2x', 'attention', 'conv')]
    model = build(dict(branches=[cells], low_level='s4s8')).eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_((module.weight + module.weight.flip(3)) / 2)
    for trunk in model.panoptic_head.modules():
        if 'offset' in (towers := getattr(trunk, 'towers', ())):
            towers['offset'].predict.weight[1], towers['offset'].predict.bias[1] = 0, 0
    image = torch.randn(2, 3, 33, 65)
    plain = model.predict_maps(image)
    model.flip = True
    assert_same(model.predict_maps(image), plain)
    model.scales = (1.0, 1.0, 1.0)
    assert_same(model.predict_maps(image), plain)


@torch.no_grad()
def test_several_sizes_are_averaged() -> None:
    model = build().eval()
    image = torch.randn(1, 3, HEIGHT, WIDTH)
    single = []
    for scale in (0.5, 1.0):
        model.scales = (scale,)
        single.append(model.predict_maps(image))
    model.scales = (0.5, 1.0)
    both = model.predict_maps(image)
    assert both.offset.shape == (1, 2, HEIGHT, WIDTH)
    torch.testing.assert_close(
        both.semantic.exp(), (single[0].semantic.softmax(1) + single[1].semantic.softmax(1)) / 2, rtol=1e-3, atol=1e-5
    )
    torch.testing.assert_close(both.center, (single[0].center + single[1].center) / 2)
    torch.testing.assert_close(both.offset, (single[0].offset + single[1].offset) / 2)


# The supernet ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def supernet() -> nn.Module:
    torch.manual_seed(0)
    return awake(MODELS.build(ConfigDict(detector_cfg(search_space=WIDE)))).eval()


@pytest.mark.slow
@torch.no_grad()
def test_subnets_equal_the_supernet(supernet: nn.Module, wide_space: SearchSpace) -> None:
    """Every output combination and low-level fusion, odd sizes, before and after batch norm recalibration."""
    rng = np.random.default_rng(0)
    archs, wanted = [], set(wide_space.end_combinations())
    for branches in itertools.cycle((1, 2, 3)):
        arch = wide_space.sample(rng, branches)
        if arch.output_strides in wanted or len(archs) % 2:
            archs.append(arch)
            wanted.discard(arch.output_strides)
        if len(archs) >= 12 and not wanted:
            break
    assert {a.low_level for a in archs} == {'none', 's4', 's4s8'} and {a.head_attention for a in archs} == {True, False}
    image = torch.randn(2, 3, 45, 71)
    for number, arch in enumerate(archs):
        subnet = cut_subnet(supernet, detector_cfg(search_space=WIDE), arch)
        if number % 4 == 0:
            recalibrate_bn(subnet, batches(1))
            recalibrate_bn(supernet, batches(1))
        for ours, theirs in zip(subnet(image, mode='tensor'), supernet(image, mode='tensor'), strict=True):
            assert relative_error(ours, theirs) < 1e-5
        for ours, theirs in zip(subnet.predict_maps(image), supernet.predict_maps(image), strict=True):
            assert relative_error(ours, theirs) < 1e-5


def test_losses_equal_the_supernets(supernet: nn.Module, wide_space: SearchSpace) -> None:
    """In training mode too, auxiliary trunks included."""
    arch = wide_space.sample(np.random.default_rng(3), 3)
    subnet = cut_subnet(supernet, detector_cfg(search_space=WIDE), arch).train()
    set_arch(supernet, arch)
    supernet.train()
    image, samples = torch.randn(2, 3, HEIGHT, WIDTH), [labelled(seed=s) for s in range(2)]
    ours, theirs = (net(image, samples, mode='loss') for net in (subnet, supernet))
    supernet.eval()
    assert set(ours) == set(theirs) and 'aux32.loss_center' in ours
    for name in ours:
        assert math.isfinite(ours[name]) and float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-4)


# What a user gets wrong, and what mmdet's inference asks for ----------------------------------------------------------


@pytest.mark.parametrize(
    ('test_cfg', 'message'),
    [
        (dict(nms_kernal=7), 'test_cfg has nms_kernal; expected some of scales, flip, threshold'),
        (dict(nms_kernel=4), 'nms_kernel'),
        (dict(scales=()), 'scales='),
        (dict(scales=(0,)), 'scales='),
    ],
)
def test_a_wrong_test_cfg_is_refused_before_training(test_cfg: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODELS.build(ConfigDict(small_cfg(test_cfg=test_cfg)))


def small_cfg(**options: Any) -> dict[str, Any]:
    shared = dict(arch='hyctas-s', base_channels=2)
    head = dict(type='HyCTASPanopticHead', num_things_classes=2, num_stuff_classes=3, **shared)
    return dict(
        type='PanopticDeepLab',
        backbone=dict(type='HyCTASBackbone', outputs='branches', **shared),
        panoptic_head=head,
        **options,
    )


def test_images_and_labels_of_different_sizes_are_refused() -> None:
    net = MODELS.build(ConfigDict(small_cfg()))
    sample = DetDataSample(
        gt_sem_seg=PixelData(sem_seg=torch.zeros(1, 100, 100, dtype=torch.long)), metainfo=dict(img_path='a.png')
    )
    with pytest.raises(
        ValueError, match=r'images are \(128, 128\) after padding, but the labels of a.png are \(100, 100\)'
    ):
        net.loss(torch.zeros(2, 3, 128, 128), [sample, sample])


def test_other_classes_than_the_data_set_s_are_refused() -> None:
    net = MODELS.build(ConfigDict(small_cfg()))
    sample = DetDataSample(metainfo=dict(class_counts=(3, 2), img_shape=(64, 64), ori_shape=(64, 64)))
    for call in (net.loss, net.predict):
        with pytest.raises(ValueError, match='has 3 thing and 2 stuff classes, panoptic_head has num_things_classes=2'):
            call(torch.zeros(1, 3, 64, 64), [sample])


@pytest.mark.parametrize('offset_scale', ['exact', 'release'])
def test_scaled_images_give_offsets_of_the_same_pixels(offset_scale: str) -> None:
    """The release's factor belongs to the image that the network saw, not to the size the maps are brought to."""
    cfg = small_cfg()
    cfg['panoptic_head']['offset_scale'] = offset_scale
    head = MODELS.build(ConfigDict(cfg)).panoptic_head
    for scale in (0.75, 1.0, 1.25, 1.5, 1.75):
        height, width = round(1024 * scale), round(2048 * scale)
        raw = dict(
            semantic=torch.zeros(1, 5, height // 8, width // 8), center=torch.zeros(1, 1, height // 8, width // 8)
        )
        # a tenth of the raw unit grows with the image
        raw['offset'] = torch.full((1, 2, height // 8, width // 8), scale)
        down, right = head.upsample(raw, (1024, 2048), (height, width)).offset[0, :, 0, 0].tolist()
        assert down == pytest.approx(8.0) and right == pytest.approx(8.0)


def test_boxes_are_the_extent_of_the_instances() -> None:
    from hyctas_mm.models.post_processing import panoptic_from_maps

    semantic, center, offset = torch.zeros(2, 20, 30), torch.zeros(1, 20, 30), torch.zeros(2, 20, 30)
    semantic[1] = 1
    rows, columns = torch.meshgrid(torch.arange(20), torch.arange(30), indexing='ij')
    for top, left, bottom, right in ((2, 3, 9, 12), (11, 15, 20, 30)):
        semantic[0, top:bottom, left:right] = 5
        y, x = (top + bottom) // 2, (left + right) // 2
        center[0, y, x] = 1
        offset[:, top:bottom, left:right] = torch.stack([y - rows, x - columns])[:, top:bottom, left:right].float()
    result = panoptic_from_maps(semantic, center, offset, num_things=1, stuff_area=0)
    assert sorted(result.boxes.tolist()) == [[3, 2, 12, 9], [15, 11, 30, 20]]


def test_mmdet_s_inference_takes_an_image_by_itself(tmp_path: Path) -> None:
    from mmdet.apis import inference_detector, init_detector

    cfg = Config.fromfile(next((Path(__file__).parents[2] / 'configs' / 'panoptic' / 'toy').glob('hyctas_subnet_*.py')))
    for part in (cfg.model.backbone, cfg.model.panoptic_head):
        part.update(base_channels=2)
    net = init_detector(cfg, device='cpu', palette='random')
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    sample = inference_detector(net, image)
    assert sample.pred_panoptic_seg.sem_seg.shape == (1, 64, 96)
    assert {'labels', 'scores', 'bboxes', 'panoptic_ids'} <= set(sample.pred_instances.keys())


def test_the_memory_layout_of_the_maps_changes_nothing() -> None:
    from hyctas_mm.models.post_processing import panoptic_from_maps

    maps = [torch.randn(4, 40, 60), torch.rand(1, 40, 60), torch.randn(2, 40, 60)]
    turned = [m.permute(1, 2, 0).contiguous().permute(2, 0, 1) for m in maps]  # the same maps, channels last in memory
    one, other = (panoptic_from_maps(*m, num_things=2, stuff_area=0) for m in (maps, turned))
    assert torch.equal(one.panoptic, other.panoptic) and len(one.labels) > 3
    torch.testing.assert_close(one.scores, other.scores)
