"""What stands in a synthetic street scene; every function paints on the canvas given as its first argument."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike

from hyctas_mm.datasets.toy.canvas import (
    BICYCLE,
    BUILDING,
    CAR,
    CIRCLE,
    EGO_VEHICLE,
    PERSON,
    POLE,
    RIDER,
    ROAD,
    SIDEWALK,
    SKY,
    SKYLINE_Z,
    TRAFFIC_SIGN,
    VEGETATION,
    Camera,
    Canvas,
    Colour,
    Points,
    Street,
    any_colour,
    blob,
    leaf_colour,
    limb,
    street_grey,
)

_CAR_HALF_WIDTH = 0.9
# Side views as (length, height) from the bottom rear over the roof to the bottom front: hatchback, saloon, van, SUV.
_CAR_PROFILES = np.array([
    [(-2.0, 0.3), (-2.0, 0.8), (-1.9, 0.95), (-1.5, 1.45), (0.2, 1.45), (1.0, 0.95), (1.95, 0.8), (2.0, 0.3)],
    [(-2.3, 0.3), (-2.3, 0.85), (-1.6, 0.98), (-1.0, 1.42), (0.4, 1.42), (1.1, 0.95), (2.2, 0.8), (2.3, 0.3)],
    [(-2.5, 0.35), (-2.5, 0.9), (-2.45, 1.15), (-2.3, 2.1), (1.3, 2.1), (2.0, 1.2), (2.4, 1.0), (2.5, 0.35)],
    [(-2.2, 0.35), (-2.2, 0.9), (-2.15, 1.05), (-1.9, 1.7), (0.4, 1.7), (1.1, 1.1), (2.1, 1.0), (2.2, 0.35)],
])  # fmt: skip
# Half width along the side view as a share: the roof is narrower than the body.
_CAR_TAPER = np.array([1.0, 1.0, 1.0, 0.84, 0.84, 1.0, 1.0, 1.0])
_TYRE = np.array([25.0, 25.0, 27.0])
_SKIN = np.array([225.0, 180.0, 150.0])
_SIGN_COLOURS = ((190, 40, 40), (40, 80, 170), (225, 190, 60), (215, 215, 210), (40, 120, 80))
_Face = tuple[Points, Colour]


def draw_sky(canvas: Canvas) -> None:
    """Paint a gradient with soft clouds over the whole canvas; it is smooth, so an eighth of the size will do."""
    height, width = canvas.ids.shape
    rows, columns = -(-height // 8), -(-width // 8)
    ramp = np.clip(np.arange(rows) * 8 / max(canvas.camera.horizon, 1.0), 0, 1)[:, None, None]
    sky = canvas.light.sky_top * (1 - ramp) + canvas.light.haze * ramp
    noise = cv2.resize(canvas.rng.standard_normal((7, 5)), (columns, rows), interpolation=cv2.INTER_CUBIC)
    cover = np.clip(noise + 2 * canvas.light.cloud - 1, 0, 1)[..., None] * 0.7
    sky = np.clip(sky * (1 - cover) + np.minimum(canvas.light.haze + 25, 250) * cover, 0, 255)
    cv2.resize(sky.astype(np.uint8), (width, height), canvas.image, interpolation=cv2.INTER_LINEAR)
    canvas.ids[:] = SKY


def strip(camera: Camera, left: float, right: float, near: float, far: float) -> Points:
    """Ground polygon (24, 3) that follows the street between two sideways positions and two depths, in metres."""
    depth = near * (far / near) ** np.linspace(0, 1, 12)
    shift, level = camera.sway(depth), np.zeros(12)
    edges = [np.stack([side + shift, level, depth], axis=1) for side in (left, right)]
    return np.concatenate([edges[0], edges[1][::-1]])


def _slabs(camera: Camera, left: ArrayLike, right: ArrayLike, near: ArrayLike, far: ArrayLike) -> Points:
    """Small ground quads (M, 4, 3); the four bounds in metres are numbers or (M,) arrays."""
    x0, x1, z0, z1 = np.broadcast_arrays(*(np.asarray(bound, dtype=np.float64) for bound in (left, right, near, far)))
    x, z = np.stack([x0, x1, x1, x0], axis=-1), np.stack([z0, z0, z1, z1], axis=-1)
    return np.stack([x + camera.sway(z), np.zeros_like(x), z], axis=-1)


def draw_ground(canvas: Canvas, street: Street, shadows: Sequence[Points]) -> None:
    """Paint pavements and road, then darken them under the ``shadows``, ground polygons (N, 3) each."""
    rng, camera, (left, right) = canvas.rng, canvas.camera, street.road
    row = min(max(int(camera.horizon) + 1, 0), canvas.ids.shape[0] - 1)
    pavement, asphalt = street_grey(rng), street_grey(rng)
    canvas.image[row:], canvas.ids[row:] = pavement, SIDEWALK
    joint, seams = pavement * rng.uniform(0.8, 0.95), np.arange(2.0, 26.0, rng.uniform(0.8, 2.0))
    for side, wall in ((left, street.walls[0]), (right, street.walls[1])):
        canvas.fill(_slabs(camera, side, wall, seams, seams + 0.05), joint)
        canvas.fill(strip(camera, (side + wall) / 2, (side + wall) / 2 + 0.05, 1.2, 30), joint)
    canvas.fill(strip(camera, left - 0.15, right + 0.15, 1.2, SKYLINE_Z), pavement * rng.uniform(0.75, 1.25))
    canvas.fill(strip(camera, left, right, 1.2, SKYLINE_Z), asphalt, ROAD)
    for _ in range(rng.integers(0, 5)):  # mended patches
        x, z = rng.uniform(left + 0.3, right - 1.5), rng.uniform(3, 25)
        patch = _slabs(camera, x, x + rng.uniform(0.4, 1.2), z, z + rng.uniform(1, 8))
        canvas.fill(patch, asphalt * rng.uniform(0.8, 1.2))
    _draw_markings(canvas, street)
    mask = np.zeros(canvas.ids.shape, dtype=np.uint8)
    for shadow in shadows:  # one by one: together, shadows that overlap would cancel out
        cv2.fillPoly(mask, [camera.project(shadow)], (255,))
    dim = 1 - (1 - 0.85 * canvas.light.shade) / 255 * cv2.blur(mask, (3, 3))[row:, :, None].astype(np.float32)
    depth = camera.focal * camera.height / (np.arange(row, canvas.ids.shape[0]) + 1 - camera.horizon)
    keep = np.exp(-depth / canvas.light.haze_length)[:, None, None].astype(np.float32)
    haze = np.clip(canvas.light.haze, 0, 255).astype(np.float32)
    canvas.image[row:] = canvas.image[row:] * (keep * dim) + haze * (1 - keep)


def _draw_markings(canvas: Canvas, street: Street) -> None:
    rng, camera, (left, right) = canvas.rng, canvas.camera, street.road
    white, period = np.full(3, rng.uniform(150, 225)), float(rng.uniform(5, 9))
    if rng.random() < 0.8:
        dashes = np.arange(rng.uniform(1.3, period), 70, period)
        canvas.fill(_slabs(camera, street.centre - 0.07, street.centre + 0.07, dashes, dashes + period / 2), white)
    for edge in (left + 0.3, right - 0.3):
        if rng.random() < 0.5:
            canvas.fill(strip(camera, edge - 0.06, edge + 0.06, 1.2, 90), white)
    if rng.random() < 0.4:  # zebra crossing
        z, bars = rng.uniform(5, 22), np.arange(left + 0.4, right - 0.6, 1.0)
        canvas.fill(_slabs(camera, bars, bars + 0.5, z, z + 3), white)


def _draw_facade(canvas: Canvas, start: Sequence[float], end: Sequence[float], height: float, colour: Colour) -> None:
    """Paint a wall from ``start`` to ``end``, both (x, z), with windows, and a shop band or doors at street level."""
    rng = canvas.rng
    first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    length = float(np.hypot(*(last - first)))

    def panel(along: ArrayLike, low: ArrayLike, width: float, tall: float) -> Points:
        """Rectangles (N, 4, 3) on the wall from their left ends (N,) and lower edges (N,)."""
        ends, base = np.asarray(along)[:, None] + np.array([0, width, width, 0]), np.asarray(low)[:, None]
        ground = first + (last - first) * (ends / length)[..., None]
        return np.stack([ground[..., 0], base + np.array([0, 0, tall, tall]), ground[..., 1]], axis=-1)

    canvas.fill(panel([0.0], [-0.1], length, height + 0.1), colour, BUILDING)
    storey, pitch = rng.uniform(2.8, 3.6), rng.uniform(1.8, 3.6)
    columns, floors = np.arange(0.4, length - pitch * 0.8, pitch), np.arange(storey + 0.9, height - 1.6, storey)
    grid = np.stack(np.meshgrid(columns, floors), axis=-1).reshape(-1, 2)
    panes = panel(grid[:, 0], grid[:, 1], pitch * rng.uniform(0.35, 0.7), storey * rng.uniform(0.4, 0.6))
    lit = rng.random(len(panes)) < canvas.light.lit
    glass = (colour * 0.35 + 15) if rng.random() < 0.6 else canvas.light.sky_top * 0.7
    for chosen, pane in ((~lit, glass), (lit, np.array([245, 215, 140]))):
        if chosen.any():
            canvas.fill(panes[chosen], pane)
    if first[1] > 60:
        return
    if rng.random() < 0.5 and length > 4:  # shop windows under a name board
        canvas.fill(panel([0.3], [0.4], length - 0.6, 2.1), any_colour(rng) * 0.5)
        canvas.fill(panel([0.3], [2.6], length - 0.6, 0.6), any_colour(rng))
    if length > 3:  # doors, about as large as people, and posters, coloured like traffic signs
        doors = np.arange(1.0, length - 1.5, rng.uniform(3, 8))
        canvas.fill(panel(doors, 0 * doors, rng.uniform(0.7, 1.1), rng.uniform(1.7, 2.2)), any_colour(rng) * 0.7)
        posters = rng.uniform(0.5, length - 1.5, rng.integers(1, 3))
        boards = panel(posters, posters * 0 + rng.uniform(2, 3.5), rng.uniform(0.5, 1.2), rng.uniform(0.5, 1.2))
        canvas.fill(boards, rng.choice(_SIGN_COLOURS))


def draw_house(canvas: Canvas, x: float, near: float, far: float) -> None:
    rng, side = canvas.rng, 1 if x > 0 else -1
    height = float(rng.uniform(5, 17))
    colour = street_grey(rng) if rng.random() < 0.6 else np.clip(any_colour(rng) * 0.6 + 50, 0, 235)
    shade = canvas.light.shade if side == canvas.light.sun_side else 1.0
    x0, x1 = x + float(canvas.camera.sway(near)), x + float(canvas.camera.sway(far))
    if rng.random() < 0.5:  # pitched roof
        back, top = 4 * side, height + 3
        ridge = [(x0, height, near), (x1, height, far), (x1 + back, top, far), (x0 + back, top, near)]
        gable = [(x0, height, near), (x0 + back, top, near), (x0 + 2 * back, height, near)]
        canvas.fill(np.array(ridge), any_colour(rng) * 0.6, BUILDING)
        canvas.fill(np.array(gable), colour * 0.9, BUILDING)
    if canvas.camera.sees(x0 + 6 * side, near, 6):
        _draw_facade(canvas, (x0, near), (x0 + 12 * side, near), height, colour * 0.5 * (1 + canvas.light.shade))
    if near < SKYLINE_Z:  # beyond it the long side is narrower than a pixel
        _draw_facade(canvas, (x0, near), (x1, far), height, colour * shade)


def draw_hedge(canvas: Canvas, x: float, near: float, far: float) -> None:
    rng, depth = canvas.rng, np.linspace(far, near, 9)
    top = np.stack([x + canvas.camera.sway(depth), 2.0 + rng.uniform(0, 0.9, 9), depth], axis=1)
    canvas.fill(np.concatenate([top, top[::-1] * (1, 0, 1)]), leaf_colour(rng), VEGETATION)


def draw_tree(canvas: Canvas, x: float, z: float) -> None:
    rng, height = canvas.rng, float(canvas.rng.uniform(3.5, 9))
    width, radius = rng.uniform(0.15, 0.45), height * rng.uniform(0.22, 0.4)
    trunk = (90, 75, 60) * rng.uniform(0.6, 1.4, 3) if rng.random() < 0.6 else street_grey(rng) * 0.7
    canvas.flat(limb((0, 0), (rng.normal(0, 0.2), height * 0.6), width), (x, z), trunk, VEGETATION)
    leaf = leaf_colour(rng)
    for _ in range(8 if z < 30 else 4):
        spot = (rng.normal(0, 0.4) * radius, height - radius + rng.normal(0, 0.45) * radius)
        leaves = blob(rng, spot, (radius * rng.uniform(0.4, 0.8), radius * rng.uniform(0.35, 0.7)), 0.3)
        canvas.flat(leaves, (x, z), leaf * rng.uniform(0.65, 1.25), VEGETATION)


def draw_lamp(canvas: Canvas, x: float, z: float) -> None:
    """A lamp post that leans its arm over the road, or a bollard."""
    rng, colour = canvas.rng, street_grey(canvas.rng) * canvas.rng.choice((0.35, 0.8, 1.35))
    if rng.random() < 0.25:
        canvas.flat(limb((0, 0), (0, rng.uniform(0.8, 1.2)), 0.2), (x, z), colour, POLE)
        return
    height, reach = float(rng.uniform(4, 8)), float(-np.sign(x) * rng.uniform(0.5, 2.0))
    canvas.flat(limb((0, 0), (0, height), rng.uniform(0.16, 0.3)), (x, z), colour, POLE)
    canvas.flat(limb((0, height), (reach, height + 0.2), 0.14), (x, z), colour, POLE)
    canvas.flat(limb((reach - 0.3, height + 0.2), (reach + 0.3, height + 0.2), 0.2), (x, z), colour * 0.8, POLE)


def draw_sign(canvas: Canvas, x: float, z: float) -> None:
    """One or two round, three- or four-cornered signs on a post."""
    rng, height = canvas.rng, float(canvas.rng.uniform(2.1, 3.2))
    canvas.flat(limb((0, 0), (0, height), 0.12), (x, z), street_grey(rng) * rng.uniform(0.4, 1.4), POLE)
    for _ in range(rng.integers(1, 3)):
        size = float(rng.uniform(0.32, 0.55))
        outline = (CIRCLE, CIRCLE[1::4], CIRCLE[::3], np.array([(-1, -0.6), (1, -0.6), (1, 0.6), (-1, 0.6)]))[
            rng.integers(4)
        ]
        face, mark = rng.choice(len(_SIGN_COLOURS), 2, replace=False)
        for scale, colour in ((size, _SIGN_COLOURS[face]), (size * rng.uniform(0.4, 0.8), _SIGN_COLOURS[mark])):
            worn = np.array(colour) * rng.uniform(0.7, 1.05)
            canvas.flat(outline * scale + (0, height), (x, z), worn, TRAFFIC_SIGN)
        height -= 2 * size


def _car_faces(rng: np.random.Generator, profile: Points, paint: Colour, glass: Colour, eye: Points) -> list[_Face]:
    """Front, back and top faces of the car body that look at the camera, each followed by what lies on it.

    Args:
        rng: Source of randomness.
        profile: Side view (8, 2) in metres.
        paint: Body colour.
        glass: Colour of the windows.
        eye: Camera position (2,) as (length, height) in car coordinates.
    """
    spread = _CAR_HALF_WIDTH * _CAR_TAPER
    faces: list[_Face] = []
    for i in range(7):
        (rear, low), (front, high) = profile[i], profile[i + 1]
        out, middle = (low - high, front - rear), ((rear + front) / 2, (low + high) / 2)
        if out[0] * (eye[0] - middle[0]) + out[1] * (eye[1] - middle[1]) <= 0:
            continue
        half, half_next = spread[i], spread[i + 1]
        corners = np.array([(rear, low, -half), (rear, low, half), (front, high, half_next), (front, high, -half_next)])
        if i in (0, 6):  # the tyres and the dark gap between them
            below = corners.copy()
            below[:, 1] = [0.14, 0.14, 0.4, 0.4]
            faces.append((below * (0.97, 1, 0.9), _TYRE))
            faces += [(below * (0.95, 1, 0.16) - (0, 0.14, 0) + (0, 0, edge), _TYRE) for edge in (-0.7, 0.7)]
        faces.append((corners, paint * (1.08 if abs(out[0]) < abs(out[1]) else 0.85)))
        if i in (2, 4):
            faces.append((0.9 * corners + 0.1 * corners.mean(axis=0), glass))
        if i in (0, 6):  # number plate and lamps
            end, lamp = (rear, (200.0, 40.0, 35.0)) if i == 0 else (front, (240.0, 235.0, 205.0))
            for across, low, colour in ((0.0, 0.42, (205.0, 205.0, 195.0)), (-0.66, 0.6, lamp), (0.66, 0.6, lamp)):
                box = [(-0.2, 0.0), (0.2, 0.0), (0.2, 0.15), (-0.2, 0.15)]
                faces.append((np.array([(end, low + up, across + right) for right, up in box]), np.array(colour)))
    return faces


def _car_side(profile: Points, side: float, paint: Colour, glass: Colour) -> list[_Face]:
    """The visible long side of a car (``side`` is -1 or 1) with its windows and wheels, in painting order."""
    spread = side * _CAR_HALF_WIDTH * _CAR_TAPER
    window = 0.86 * profile[2:6] + 0.14 * profile[2:6].mean(axis=0)
    faces = [(np.column_stack([profile, spread]), paint), (np.column_stack([window, spread[2:6]]), glass)]
    for hub in (profile[0, 0] * 0.63, profile[7, 0] * 0.63):
        for size, colour in ((0.34, _TYRE), (0.18, _TYRE + 95)):
            rim = CIRCLE * size + (hub, 0.34)
            faces.append((np.column_stack([rim, np.full(12, side * _CAR_HALF_WIDTH)]), colour))
    return faces


def draw_car(canvas: Canvas, x: float, z: float, yaw: float) -> None:
    """A car turned by ``yaw`` radians (0 drives away from the camera): an extruded side view in perspective."""
    rng, ident = canvas.rng, canvas.new_id(CAR)
    profile, paint = _CAR_PROFILES[rng.integers(len(_CAR_PROFILES))], any_colour(rng)
    glass = np.array((45, 52, 60)) * rng.uniform(0.5, 1.6) if rng.random() < 0.7 else canvas.light.haze * 0.7
    sine, cosine = math.sin(yaw), math.cos(yaw)
    faces = _car_faces(rng, profile, paint, glass, np.array([-x * sine - z * cosine, canvas.camera.height]))
    across = -x * cosine + z * sine  # where the camera is, in car coordinates
    if abs(across) > _CAR_HALF_WIDTH:
        side = math.copysign(1.0, across)
        flank = _car_side(profile, side, paint * (0.8 if side == canvas.light.sun_side else 1.0), glass)
        # The end of the car faces the camera more than its flank, or the flank more than the end.
        faces = flank + faces if abs(cosine) > 0.7 else faces + flank
    turn = np.array([(sine, 0, cosine), (0, 1, 0), (cosine, 0, -sine)])
    for corners, colour in faces:
        canvas.fill(corners @ turn + (x, 0, z), colour, ident)


def draw_person(canvas: Canvas, x: float, z: float) -> None:
    """A standing or walking person; clothes may have any colour, a street grey included."""
    rng, ident, at = canvas.rng, canvas.new_id(PERSON), (x, z)
    tall = float(rng.uniform(1.5, 1.95)) if rng.random() < 0.85 else float(rng.uniform(1.0, 1.4))
    skin = _SKIN * rng.uniform(0.35, 1.05)
    coat, legs = (any_colour(rng) * 0.9, any_colour(rng) * 0.6) if rng.random() < 0.8 else (street_grey(rng),) * 2
    stride, swing, hem = rng.uniform(0.02, 0.2), rng.uniform(0.0, 0.16), rng.choice((0.47, 0.32))
    for foot in (-stride, stride):
        canvas.flat(limb((foot * 0.3, 0.5), (foot, 0.0), 0.09) * tall, at, legs, ident)
    torso = np.array([(-0.13, 0.82), (0.13, 0.82), (0.1, 0.6), (0.11, hem), (-0.11, hem), (-0.1, 0.6)])
    canvas.flat(torso * tall, at, coat, ident)
    for shoulder, hand in ((-0.13, -0.15 - swing), (0.13, 0.15 + swing * rng.uniform(-1, 1))):
        canvas.flat(limb((shoulder, 0.8), (hand, 0.47), 0.06) * tall, at, coat * 0.85, ident)
    if rng.random() < 0.3:  # bag
        canvas.flat(blob(rng, (0.17, 0.45), (0.08, 0.1)) * tall, at, any_colour(rng), ident)
    canvas.flat(blob(rng, (0, 0.91), (0.06, 0.08)) * tall, at, skin, ident)
    canvas.flat(blob(rng, (0, 0.95), (0.062, 0.05)) * tall, at, any_colour(rng) * 0.5, ident)


def draw_bicycle(canvas: Canvas, x: float, z: float, ridden: bool) -> None:
    """A bicycle, perhaps ridden; its wheels are see-through in the image and solid in the labels, as in Cityscapes."""
    rng, ident = canvas.rng, canvas.new_id(BICYCLE)
    turn = float(rng.choice((-1, 1)) * rng.uniform(0.25, 1.0))
    squeeze, at = np.array([turn, 1.0]), (x, z)
    colour = any_colour(rng) * rng.uniform(0.3, 0.9)
    wheels = [blob(rng, (hub, 0.35), (0.35, 0.35)) * squeeze for hub in (-0.52, 0.52)]
    corners = [(-0.52, 0.35), (-0.2, 0.8), (0.4, 0.8), (0.52, 0.35), (0.4, 0.8), (0.0, 0.3), (-0.2, 0.8)]
    frame = np.array(corners) * squeeze
    for part in (*wheels, frame[[0, 1, 2, 3, 5]]):
        cv2.fillPoly(canvas.ids, [canvas.camera.project_flat(part, at)], (ident,))
    thick = max(1, round(0.06 * canvas.camera.focal / z))
    tubes = [canvas.camera.project_flat(frame, at)]
    cv2.polylines(canvas.image, [canvas.camera.project_flat(w, at) for w in wheels], True, canvas.tint(_TYRE, z), thick)
    cv2.polylines(canvas.image, tubes, False, canvas.tint(colour, z), thick)
    canvas.flat(limb(frame[2], np.array([0.45, 1.05]) * squeeze, 0.07), at, colour * 0.5, ident)
    if ridden:
        _draw_rider(canvas, at, turn)


def _draw_rider(canvas: Canvas, at: tuple[float, float], turn: float) -> None:
    rng, ident, squeeze = canvas.rng, canvas.new_id(RIDER), np.array([turn, 1.0])
    coat, legs, skin = any_colour(rng) * 0.9, any_colour(rng) * 0.6, _SKIN * rng.uniform(0.35, 1.05)
    hip, neck, knee, foot = (np.array(p) * squeeze for p in ((-0.2, 0.9), (0.15, 1.42), (0.2, 0.72), (0.02, 0.28)))
    for apart in (-0.1, 0.1):  # the far and the near leg
        shift = (apart * (1.1 - abs(turn)), apart)
        canvas.flat(limb(hip, knee + shift, 0.17), at, legs, ident)
        canvas.flat(limb(knee + shift, foot + shift, 0.13), at, legs * 0.9, ident)
    canvas.flat(limb(hip, neck, 0.28 + 0.16 * (1 - abs(turn))), at, coat, ident)
    canvas.flat(limb(neck - (0, 0.06), np.array([0.48, 1.06]) * squeeze, 0.1), at, coat * 0.85, ident)
    canvas.flat(blob(rng, neck + np.array([0.05 * turn, 0.19]), (0.11, 0.14)), at, skin, ident)
    canvas.flat(blob(rng, neck + np.array([0.05 * turn, 0.26]), (0.12, 0.08)), at, any_colour(rng), ident)


def draw_bonnet(canvas: Canvas) -> None:
    height, width = canvas.ids.shape
    centre, radius = canvas.rng.uniform(0.4, 0.6) * width, canvas.rng.uniform(0.05, 0.12) * height
    shape = ((round(centre), height), (round(0.55 * width), round(radius)), 0, 0, 360)
    for top, shade in ((0, 0.3), (4, 0.45)):
        colour = np.clip(canvas.light.haze * shade, 0, 255).tolist()
        cv2.ellipse(canvas.image, (shape[0][0], height + top), shape[1], 0, 0, 360, colour, -1)
    cv2.ellipse(canvas.ids, *shape, (EGO_VEHICLE,), -1)
