"""Generated textures: scalar fields of many kinds, bent, mixed, and painted with palettes of colours.

What the pretraining pictures (``search.pretraining.scenes``) are covered with. A *field* is a float32
array (side, side) with values in 0..1; a *texture* is one in colour, (side, side, 3), likewise.
Everything is drawn from the generator that is handed in.
"""

import colorsys
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree

Field = np.ndarray
Texture = np.ndarray
FLAT = 1e-6
SHADES = 512  # of a painted field


def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates (x, y) of every pixel, from -1 to 1, each (side, side) float32."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    return tuple(np.meshgrid(axis, axis))  # type: ignore[return-value]  # numpy types it as a list


def pixel_grid(side: int) -> np.ndarray:
    """Return the column and the row of every pixel, (side, side, 2) float32."""
    axis = np.arange(side, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis), -1)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return a field or a texture out of focus, by a Gaussian of ``sigma`` pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma)


def turned(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates turned by ``angle`` radians."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def stretched(field: np.ndarray) -> Field:
    """Return the field scaled so that nearly all of its values (1st to 99th percentile) span 0..1."""
    low, high = np.percentile(field[::2, ::2], (1, 99))
    return np.clip((field - low) / max(high - low, FLAT), 0, 1).astype(np.float32)


def noise(rng: np.random.Generator, side: int) -> Field:
    """Return noise whose amplitude falls as a power of frequency, as in photographs (Field 1987), drawn out one way."""
    frequency_y, frequency_x = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]
    along, across = turned(frequency_x, frequency_y, rng.uniform(0, np.pi))
    elongation = rng.choice([1.0, rng.uniform(1, 12)])
    size = np.sqrt((along * elongation) ** 2 + across**2) + 1 / side
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) * size ** -rng.uniform(0.4, 2.6)
    return stretched(np.fft.irfft2(spectrum, (side, side)))


def gratings(rng: np.random.Generator, side: int) -> Field:
    """Return stripes, checks or rings, soft or hard."""
    x, y = turned(*grid(side), rng.uniform(0, np.pi))
    waves = np.exp(rng.uniform(np.log(1.5), np.log(18), 2))
    kind = rng.integers(3)
    if kind == 2:
        x = np.hypot(x - rng.uniform(-1, 1), y - rng.uniform(-1, 1))
    field = np.sin(np.pi * waves[0] * x + rng.uniform(0, 7))
    if kind == 1:
        field = field * np.sin(np.pi * waves[1] * y + rng.uniform(0, 7))
    return (0.5 + 0.5 * np.tanh(field * rng.uniform(0.5, 8))).astype(np.float32)


def cells(rng: np.random.Generator, side: int) -> Field:
    """Return cells around random points: their distance, their walls, or one value each (Worley 1996)."""
    count = int(np.exp(rng.uniform(np.log(6), np.log(250))))
    points = rng.uniform(-1.1, 1.1, (count, 2)) * (1, rng.uniform(0.5, 1))
    x, y = turned(*grid(side), rng.uniform(0, np.pi))
    distances, nearest = cKDTree(points).query(np.stack([x, y], -1).reshape(-1, 2), k=2)
    choices = (distances[:, 0], distances[:, 1] - distances[:, 0], rng.uniform(size=count)[nearest[:, 0]])
    return stretched(choices[rng.integers(3)].reshape(side, side))


def program(rng: np.random.Generator, side: int) -> Field:
    """Return what a small random network makes of coordinates (Stanley 2007, "CPPN")."""
    x, y = grid(side)
    values = np.stack([x, y, np.hypot(x, y), np.ones_like(x)], -1) * np.float32(rng.uniform(1, 4))
    functions: list[Callable[[np.ndarray], np.ndarray]] = [np.sin, np.tanh, np.abs, np.cos]
    for _ in range(rng.integers(2, 5)):
        weights = rng.normal(0, rng.uniform(0.8, 1.6), (values.shape[-1], 8)).astype(np.float32)
        values = functions[rng.integers(len(functions))](values @ weights)
    return stretched(values[..., 0])


def fractal(rng: np.random.Generator, side: int) -> Field:
    """Return how often a random system of affine maps visits each pixel (Barnsley 1988; Kataoka et al. 2020)."""
    count = rng.integers(2, 6)
    maps = rng.uniform(-1, 1, (count, 2, 3))
    maps[:, :, :2] *= (rng.uniform(0.5, 0.9, count) / np.linalg.norm(maps[:, :, :2], 2, (1, 2)))[:, None, None]
    points = rng.uniform(-1, 1, (600, 2))
    visited = []
    for step in range(36):
        step_maps = maps[rng.integers(count, size=len(points))]
        points = np.einsum("nij,nj->ni", step_maps[:, :, :2], points) + step_maps[:, :, 2]
        if step > 5:
            visited.append(points)
    cloud = np.concatenate(visited)
    low, high = np.percentile(cloud, (1, 99), axis=0)
    at = (cloud - low) / np.maximum(high - low, FLAT) * 0.9 + 0.05
    counts, _, _ = np.histogram2d(at[:, 1], at[:, 0], bins=side, range=((0, 1), (0, 1)))
    return stretched(blurred(np.log1p(counts), rng.uniform(0.3, 1.2)))


def leaves(rng: np.random.Generator, side: int) -> Field:
    """Return discs and boxes of all sizes that hide one another (dead leaves: Lee, Mumford & Huang 2001)."""
    canvas = Image.new("L", (side, side), int(rng.integers(256)))
    draw = ImageDraw.Draw(canvas)
    form = rng.integers(3)
    for _ in range(int(rng.integers(30, 300))):
        x, y = rng.uniform(0, side, 2)
        wide = min(1.5 / rng.uniform(0.02, 1), 30) * side / 128
        tall = wide * (rng.uniform(0.3, 1) if form else 1)
        box = (x - wide, y - tall, x + wide, y + tall)
        (draw.ellipse if form < 2 else draw.rectangle)(box, fill=int(rng.integers(256)))
    return np.asarray(canvas, np.float32) / 255


def hair(rng: np.random.Generator, side: int) -> Field:
    """Return many thin strokes that follow a slowly turning direction: fur, grass, needles."""
    canvas = Image.new("L", (side, side), int(rng.integers(160)))
    draw = ImageDraw.Draw(canvas)
    main, turning = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1.5)
    x, y = rng.uniform(-0.1, 1.1, (2, int(rng.integers(150, 900))))
    directions = main + turning * np.sin(3 * x + rng.uniform(0, 6)) * np.cos(3 * y + rng.uniform(0, 6))
    directions = directions + rng.normal(0, rng.uniform(0.02, 0.4), len(x))
    lengths = rng.uniform(0.03, 0.25) * rng.uniform(0.5, 1.5, len(x))
    ends = np.stack([x, y, x + lengths * np.cos(directions), y + lengths * np.sin(directions)], -1) * side
    width, shades = int(rng.integers(1, 4)), rng.integers(40, 256, len(x))
    for end, shade in zip(ends.tolist(), shades.tolist(), strict=True):
        draw.line(end, fill=shade, width=width)
    return np.asarray(canvas, np.float32) / 255


FIELDS: tuple[Callable[[np.random.Generator, int], Field], ...] = (
    noise,
    noise,
    gratings,
    cells,
    program,
    fractal,
    leaves,
    hair,
)


def bent(rng: np.random.Generator, field: Field) -> Field:
    """Return the field under a smooth random warp."""
    side = len(field)
    coarse = rng.normal(0, rng.uniform(1, 8) * side / 128, (6, 6, 2)).astype(np.float32)
    at = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC) + pixel_grid(side)
    return cv2.remap(field, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def any_field(rng: np.random.Generator, side: int) -> Field:
    """Return a field of any kind, at times bent, or mixed of two kinds."""
    field = FIELDS[rng.integers(len(FIELDS))](rng, side)
    if rng.random() < 0.4:
        field = bent(rng, field)
    if rng.random() < 0.25:
        other = FIELDS[rng.integers(len(FIELDS))](rng, side)
        where = stretched(noise(rng, side)) if rng.random() < 0.5 else np.float32(rng.uniform(0.2, 0.8))
        field = field * where + other * (1 - where)
    return field.astype(np.float32)


def palette(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return colours (count, 3) in 0..1: mostly near one hue and pale, as most things are."""
    if rng.random() < 0.2:
        return rng.uniform(0, 1, (count, 3)).astype(np.float32)
    hue, spread = rng.uniform(), rng.choice([0.02, 0.08, 0.3])
    saturation = rng.beta(1.2, 2.0)
    first, last = rng.uniform(0, 1, 2)
    values = np.clip(np.linspace(first, last, count) + rng.normal(0, 0.1, count), 0, 1)
    colours = [
        colorsys.hsv_to_rgb(
            (hue + spread * rng.normal()) % 1, float(np.clip(saturation + rng.normal(0, 0.12), 0, 1)), float(value)
        )
        for value in values
    ]
    return np.asarray(colours, np.float32)


def painted(rng: np.random.Generator, field: Field) -> Texture:
    """Return the field in the colours of a palette, with soft or with hard borders between them."""
    colours = palette(rng, int(rng.integers(2, 6)))
    steps = np.linspace(0, len(colours) - 1, SHADES)
    below = np.minimum(steps.astype(np.int64), len(colours) - 2)
    share = steps - below
    if rng.random() < 0.3:
        share = np.clip((share - 0.5) * rng.uniform(3, 20) + 0.5, 0, 1)
    shades = colours[below] * (1 - share[:, None]) + colours[below + 1] * share[:, None]
    return shades.astype(np.float32)[(field * (SHADES - 1)).astype(np.int64)]


def lit(texture: Texture, height: Field, light: np.ndarray, depth: float) -> Texture:
    """Return the texture as a relief of ``height`` under a directed ``light`` (3,), by Lambert's law."""
    slope_y, slope_x = np.gradient(height * depth)
    shade = (light[2] - slope_x * light[0] - slope_y * light[1]) / np.sqrt(1 + slope_x**2 + slope_y**2)
    return texture * np.clip(0.35 + 0.75 * shade, 0, 1.6)[..., None].astype(np.float32)


def any_texture(rng: np.random.Generator, side: int, light: np.ndarray) -> Texture:
    """Return a texture: one colour, or a painted field, at times embossed under the scene's ``light``."""
    if rng.random() < 0.12:
        plain = np.broadcast_to(palette(rng, 1), (side, side, 3))
        return (plain + 0.06 * (noise(rng, side) - 0.5)[..., None]).astype(np.float32)
    field = any_field(rng, side)
    texture = painted(rng, field)
    if rng.random() < 0.35:
        height = field if rng.random() < 0.5 else any_field(rng, side)
        texture = lit(texture, height, light, rng.uniform(2, 15) * side / 128)
    return texture
