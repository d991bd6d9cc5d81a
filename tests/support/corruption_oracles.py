"""What each corruption of CIFAR-10-C makes of one image, by scikit-image, OpenCV, scipy and Pillow.

From the published description, image by image, in (32, 32, 3) as those libraries have it. Random numbers are arguments:
the tests draw them as the batched code does. Constants are written out here a second time.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage
from skimage import color, filters, util


def to_bytes(pixels):
    """A part of a level is dropped; what is whole but for float32 is whole."""
    return np.uint8(np.floor(np.clip(pixels, 0, 1) * 255 + 1e-4))


def of_level(severity, *constants):
    return constants[severity - 1]


# Noise: all images at once, since scikit-image takes any shape and draws as numpy does.


def gaussian_noise(images, severity, stream):
    deviation = of_level(severity, 0.04, 0.06, 0.08, 0.09, 0.10)
    return to_bytes(util.random_noise(images / 255, "gaussian", rng=stream, var=deviation**2))


def speckle_noise(images, severity, stream):
    deviation = of_level(severity, 0.06, 0.1, 0.12, 0.16, 0.2)
    return to_bytes(util.random_noise(images / 255, "speckle", rng=stream, var=deviation**2))


def impulse_noise(images, severity, stream):
    amount = of_level(severity, 0.01, 0.02, 0.03, 0.05, 0.07)
    return to_bytes(util.random_noise(images / 255, "s&p", rng=stream, amount=amount))


def shot_noise(images, severity, stream):
    photons = of_level(severity, 500, 250, 100, 75, 50)
    counts = np.array([stream.poisson(value * photons) for value in (images / 255).ravel()])
    return to_bytes(counts.reshape(images.shape) / photons)


# Blur


def gaussian_blur(image, severity):
    return to_bytes(filters.gaussian(image / 255, sigma=of_level(severity, 0.4, 0.6, 0.7, 0.8, 1), channel_axis=-1))


def defocus_blur(image, severity):
    radius, soft = of_level(severity, (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
    column, row = np.meshgrid(np.arange(-8, 9), np.arange(-8, 9))
    disk = (column**2 + row**2 <= radius**2).astype(np.float32)
    kernel = cv2.GaussianBlur(disk / disk.sum(), ksize=(3, 3), sigmaX=soft)
    return to_bytes(cv2.filter2D(image / 255, -1, kernel))


def glass_blur(image, severity, right, down):
    """right, down: (times, 30, 30), of the pixel at (2 + row, 2 + column)."""
    sigma, times = of_level(severity, (0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))
    found = to_bytes(filters.gaussian(image / 255, sigma=sigma, channel_axis=-1))
    for time in range(times):
        for row in range(31, 1, -1):
            for column in range(31, 1, -1):
                other = row + down[time, row - 2, column - 2], column + right[time, row - 2, column - 2]
                found[row, column], found[other] = found[other], found[row, column]  # of views: the first is lost
    return to_bytes(filters.gaussian(found / 255, sigma=sigma, channel_axis=-1))


def along_a_line(image, radius, sigma, degrees):
    """ImageMagick's motion blur of an image (32, 32) or (32, 32, 3) from 0 to 255, as a kernel."""
    kernel = np.zeros((4 * radius + 1, 4 * radius + 1))
    for step in range(2 * radius + 1):
        row = int(np.ceil(step * np.sin(np.pi * degrees / 180) - 0.5))
        column = int(np.ceil(step * np.cos(np.pi * degrees / 180) - 0.5))
        kernel[2 * radius + row, 2 * radius + column] += np.exp(-(step**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).reshape(*kernel.shape, *[1] * (image.ndim - 2))
    blurred = ndimage.correlate(image.astype(np.float64), kernel, mode="nearest")
    return np.uint8(np.floor(blurred + 1e-4))


def motion_blur(image, severity, degrees):
    return along_a_line(image, *of_level(severity, (6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)), degrees)


def enlarged(image, factor):
    """image: (32, 32, C). The middle, linearly interpolated."""
    crop = int(np.ceil(32 / factor))
    top = (32 - crop) // 2
    large = ndimage.zoom(image[top : top + crop, top : top + crop], (factor, factor, 1), order=1)
    trim = (len(large) - 32) // 2
    return large[trim : trim + 32, trim : trim + 32]


def zoom_blur(image, severity):
    factors = np.arange(1, of_level(severity, 1.06, 1.11, 1.16, 1.21, 1.26), 0.01)  # its rounding decides on sizes
    return to_bytes((image / 255 + sum(enlarged(image / 255, factor) for factor in factors)) / (len(factors) + 1))


# Weather


def snow(image, severity, flakes, degrees):
    """flakes: (32, 32), standard normal."""
    mean, deviation, size, least, radius, sigma, rest = of_level(
        severity,
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )
    layer = enlarged((mean + deviation * flakes)[..., None], size)[..., 0]
    layer = along_a_line(to_bytes(np.where(layer < least, 0, layer)), radius, sigma, degrees)[..., None] / 255
    pixels = (image / 255).astype(np.float32)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
    white = rest * pixels + (1 - rest) * np.maximum(pixels, grey * 1.5 + 0.5)
    return to_bytes(white + layer + np.rot90(layer, k=2))


def frost(image, severity, texture, top, left):
    """texture: (H, W, 3)."""
    share, frosted = of_level(severity, (1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
    return to_bytes((share * image + frosted * texture[top : top + 32, left : left + 32]) / 255)


def fog(image, severity, draws):
    """draws: uniform from -1 to 1, three arrays a scale: middles of squares, of their level and their upright sides."""
    strength, decay = of_level(severity, (0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))
    height, step, wibble = np.zeros((32, 32)), 32, 100.0
    for squares, level, upright in zip(*[iter(draws)] * 3, strict=True):
        half = step // 2

        def mean(row, column, offsets):
            return sum(height[(row + down) % 32, (column + right) % 32] for down, right in offsets) / 4

        slanted = [(down * half, right * half) for down in (-1, 1) for right in (-1, 1)]
        straight = [(half, 0), (-half, 0), (0, half), (0, -half)]
        whole = [(row, column) for row in range(0, 32, step) for column in range(0, 32, step)]
        for row, column in whole:
            random = squares[row // step, column // step]
            height[row + half, column + half] = mean(row + half, column + half, slanted) + wibble**2 * random
        for row, column in whole:
            random = level[row // step, column // step]
            height[row, column + half] = mean(row, column + half, straight) + wibble**2 * random
        for row, column in whole:
            random = upright[row // step, column // step]
            height[row + half, column] = mean(row + half, column, straight) + wibble**2 * random
        step, wibble = half, wibble / decay
    cloud = (height - height.min()) / (height.max() - height.min())
    brightest = image.max() / 255
    return to_bytes((image / 255 + strength * cloud[..., None]) * brightest / (brightest + strength))


def spatter(image, severity, liquid):
    """liquid: (32, 32), standard normal."""
    mean, deviation, blur, least, strength, muddy = of_level(
        severity,
        (0.62, 0.1, 0.7, 0.7, 0.5, False),
        (0.65, 0.1, 0.8, 0.7, 0.5, False),
        (0.65, 0.3, 1, 0.69, 0.5, False),
        (0.65, 0.1, 0.7, 0.69, 0.6, True),
        (0.65, 0.1, 0.5, 0.68, 0.6, True),
    )
    depth = filters.gaussian(mean + deviation * liquid, sigma=blur)
    if muddy:
        mud = filters.gaussian((depth >= least).astype(np.float32), sigma=strength)
        mud = np.where(mud < 0.8, 0, mud)[..., None]
        return to_bytes(image / 255 * (1 - mud) + np.array([63, 42, 20]) / 255 * mud)
    depth = to_bytes(np.where(depth < least, 0, depth))
    away = cv2.distanceTransform(255 - cv2.Canny(depth, 50, 150), cv2.DIST_L2, 5)
    away = np.floor(cv2.blur(np.minimum(away, 20), (3, 3)) + 1e-4).astype(np.uint8)
    lit = cv2.filter2D(cv2.equalizeHist(away), cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    bright = depth * cv2.blur(lit, (3, 3)).astype(np.float32)
    bright = bright / bright.max() * strength if bright.any() else bright
    return to_bytes(image / 255 + bright[..., None] * np.array([175, 238, 238]) / 255)


# Colour, compression, shape


def brightness(image, severity):
    coloured = color.rgb2hsv(image / 255)
    coloured[..., 2] = np.clip(coloured[..., 2] + of_level(severity, 0.05, 0.1, 0.15, 0.2, 0.3), 0, 1)
    return to_bytes(color.hsv2rgb(coloured))


def saturate(image, severity):
    times, plus = of_level(severity, (0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))
    coloured = color.rgb2hsv(image / 255)
    coloured[..., 1] = np.clip(coloured[..., 1] * times + plus, 0, 1)
    return to_bytes(color.hsv2rgb(coloured))


def contrast(image, severity):
    left = of_level(severity, 0.75, 0.5, 0.4, 0.3, 0.15)
    mean = np.broadcast_to(np.array(cv2.mean(image)[:3]) / 255, image.shape)
    return to_bytes(cv2.addWeighted(image / 255, left, mean, 1 - left, 0))


def pixelate(image, severity):
    """Pillow's box: the mean of the pixels whose middles are in it, over columns and then over rows, each rounded."""
    side = int(32 * of_level(severity, 0.95, 0.9, 0.85, 0.75, 0.65))

    def scaled(rows, length):
        size = len(rows) / length
        middle = np.arange(len(rows)) + 0.5
        reach = max(size, 1) / 2
        boxes = [np.abs(middle - (place + 0.5) * size + 1e-9) < reach for place in range(length)]
        return np.array([np.floor(rows[box].mean(axis=0) + 0.5) for box in boxes])

    found = image.astype(np.float64)
    for length in (side, 32):
        found = scaled(scaled(found.transpose(1, 0, 2), length).transpose(1, 0, 2), length)
    return np.uint8(found)


def jpeg_compression(image, severity):
    quality = of_level(severity, 80, 65, 58, 50, 40)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def elastic_transform(image, severity, corners, right, down):
    """corners: (3, 2), right and down: (32, 32), uniform from -1 to 1."""
    length, smoothness, reach = of_level(
        severity, (0, 0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96)
    )
    before = np.float32([[26, 26], [26, 6], [6, 6]])
    matrix = cv2.getAffineTransform(before, (before + reach * corners).astype(np.float32))
    pixels = cv2.warpAffine((image / 255).astype(np.float32), matrix, (32, 32), borderMode=cv2.BORDER_REFLECT_101)
    right, down = (filters.gaussian(part, smoothness, mode="reflect", truncate=3) * length for part in (right, down))
    row, column = np.mgrid[:32, :32]
    channels = [
        ndimage.map_coordinates(pixels[..., channel], [row + down, column + right], order=1, mode="reflect")
        for channel in range(3)
    ]
    return to_bytes(np.stack(channels, axis=-1))
