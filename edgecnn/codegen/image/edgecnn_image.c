#include "edgecnn_image.h"

#define ONE 32768u /* 2^15: what the weights of an output pixel add up to */

/* The weights of an output pixel: of `count` input pixels from `first` on. */
typedef struct {
  uint32_t first, count;
} span;

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* How many input pixels an output pixel is made of, at most. */
static uint32_t most_taps(uint32_t inputs, uint32_t outputs) {
  return 2u * ((larger(inputs, outputs) + outputs - 1u) / outputs) + 1u;
}

/* What input pixel j adds to output pixel i before it is scaled: a triangle around the output pixel's centre. */
static uint64_t triangle(uint32_t j, uint32_t i, uint32_t inputs, uint32_t outputs) {
  const uint64_t reach = 2u * (uint64_t)larger(inputs, outputs);
  const uint64_t a = (2u * (uint64_t)j + 1u) * outputs, b = (2u * (uint64_t)i + 1u) * inputs;
  const uint64_t distance = a > b ? a - b : b - a;
  return distance < reach ? reach - distance : 0u;
}

/* The weights of output pixel i; the running sums are rounded, so that they add up to ONE. */
static span weigh(uint32_t i, uint32_t inputs, uint32_t outputs, uint16_t *weights) {
  const uint64_t reach = 2u * (uint64_t)larger(inputs, outputs), center = (2u * (uint64_t)i + 1u) * inputs;
  span found;
  uint64_t total = 0, running = 0;
  uint32_t before = 0, last;
  found.first = center > reach ? (uint32_t)((center - reach) / (2u * (uint64_t)outputs)) : 0u;
  while (found.first < inputs && triangle(found.first, i, inputs, outputs) == 0u) found.first++;
  for (last = found.first; last < inputs && triangle(last, i, inputs, outputs) != 0u; last++)
    total += triangle(last, i, inputs, outputs);
  found.count = last - found.first;
  for (uint32_t k = 0; k < found.count; k++) {
    running += triangle(found.first + k, i, inputs, outputs);
    const uint32_t now = (uint32_t)((2u * running * ONE + total) / (2u * total));
    weights[k] = (uint16_t)(now - before);
    before = now;
  }
  return found;
}

static uint8_t clamped(int32_t value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value); }

/* value / 2^16 to the nearest, without shifting a negative number */
static int32_t scaled(int32_t value) { return (int32_t)(((uint32_t)(value + 32768 + (1 << 30))) >> 16) - (1 << 14); }

static void rgb_of_yuv(int32_t y, int32_t u, int32_t v, uint8_t *rgb) {
  rgb[0] = clamped(y + scaled(91881 * (v - 128)));
  rgb[1] = clamped(y - scaled(22554 * (u - 128) + 46802 * (v - 128)));
  rgb[2] = clamped(y + scaled(116130 * (u - 128)));
}

/* One pixel of a frame as RGB over white. */
static void read_pixel(const edgecnn_frame *frame, uint32_t y, uint32_t x, uint8_t *rgb) {
  const uint8_t *row = frame->pixels + y * frame->stride, *pixel;
  switch (frame->format) {
    case EDGECNN_GRAY8:
      rgb[0] = rgb[1] = rgb[2] = row[x];
      return;
    case EDGECNN_RGB888:
      pixel = row + 3u * (size_t)x;
      for (int c = 0; c < 3; c++) rgb[c] = pixel[c];
      return;
    case EDGECNN_RGBA8888:
      pixel = row + 4u * (size_t)x;
      for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)((pixel[c] * pixel[3] + 255 * (255 - pixel[3]) + 127) / 255);
      return;
    case EDGECNN_RGB565: {
      const unsigned value = row[2u * (size_t)x] | (unsigned)row[2u * (size_t)x + 1u] << 8;
      const unsigned r = value >> 11, g = value >> 5 & 63u, b = value & 31u;
      rgb[0] = (uint8_t)(r << 3 | r >> 2);
      rgb[1] = (uint8_t)(g << 2 | g >> 4);
      rgb[2] = (uint8_t)(b << 3 | b >> 2);
      return;
    }
    case EDGECNN_YUYV:
      pixel = row + 4u * (size_t)(x / 2u);
      rgb_of_yuv(pixel[x % 2u * 2u], pixel[1], pixel[3], rgb);
      return;
    default: {
      const int u = frame->format == EDGECNN_NV12 ? 0 : 1;
      pixel = frame->chroma + y / 2u * frame->chroma_stride + 2u * (size_t)(x / 2u);
      rgb_of_yuv(row[x], pixel[u], pixel[1 - u], rgb);
    }
  }
}

/* A row of the frame in the output's width, as RGB. */
static void resize_row(const edgecnn_frame *frame, uint32_t y, uint32_t out_width, const span *spans,
                       const uint16_t *weights, uint32_t taps, uint8_t *out) {
  for (uint32_t i = 0; i < out_width; i++, weights += taps, out += 3) {
    uint32_t sums[3] = {ONE / 2u, ONE / 2u, ONE / 2u};
    for (uint32_t k = 0; k < spans[i].count; k++) {
      uint8_t rgb[3];
      read_pixel(frame, y, spans[i].first + k, rgb);
      for (int c = 0; c < 3; c++) sums[c] += (uint32_t)rgb[c] * weights[k];
    }
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)(sums[c] / ONE);
  }
}

static size_t rounded(size_t bytes) { return (bytes + 3u) / 4u * 4u; }

size_t edgecnn_resize_scratch(uint32_t height, uint32_t width, uint32_t out_height, uint32_t out_width) {
  return out_width * (sizeof(span) + 3u * sizeof(uint32_t)) +
         rounded(sizeof(uint16_t) * out_width * most_taps(width, out_width)) +
         rounded(sizeof(uint16_t) * most_taps(height, out_height)) + 3u * (size_t)out_width;
}

static int is_side(uint32_t side) { return side >= 1u && side <= EDGECNN_MAX_SIDE; }

int edgecnn_resize(const edgecnn_frame *frame, uint8_t *image, uint32_t out_height, uint32_t out_width,
                   uint32_t channels, void *scratch) {
  if (!frame || !frame->pixels || !image || !scratch || (channels != 1u && channels != 3u)) return -1;
  if (!is_side(frame->height) || !is_side(frame->width) || !is_side(out_height) || !is_side(out_width)) return -1;
  if ((unsigned)frame->format > (unsigned)EDGECNN_NV21 || (frame->format >= EDGECNN_NV12 && !frame->chroma)) return -1;

  const uint32_t taps = most_taps(frame->width, out_width);
  span *spans = (span *)scratch;
  uint32_t *sums = (uint32_t *)(spans + out_width);
  uint16_t *across = (uint16_t *)(sums + 3u * (size_t)out_width);
  uint16_t *down = (uint16_t *)((uint8_t *)across + rounded(sizeof(uint16_t) * out_width * taps));
  uint8_t *row = (uint8_t *)down + rounded(sizeof(uint16_t) * most_taps(frame->height, out_height));
  for (uint32_t i = 0; i < out_width; i++) spans[i] = weigh(i, frame->width, out_width, across + (size_t)i * taps);

  for (uint32_t i = 0; i < out_height; i++) {
    const span rows = weigh(i, frame->height, out_height, down);
    for (uint32_t k = 0; k < 3u * out_width; k++) sums[k] = ONE / 2u;
    for (uint32_t k = 0; k < rows.count; k++) {
      resize_row(frame, rows.first + k, out_width, spans, across, taps, row);
      for (uint32_t n = 0; n < 3u * out_width; n++) sums[n] += (uint32_t)row[n] * down[k];
    }
    for (uint32_t n = 0; n < 3u * out_width; n += 3u) {
      const uint32_t r = sums[n] / ONE, g = sums[n + 1u] / ONE, b = sums[n + 2u] / ONE;
      if (channels == 1u) {
        *image++ = (uint8_t)((19595u * r + 38470u * g + 7471u * b + 32768u) >> 16);
      } else {
        *image++ = (uint8_t)r;
        *image++ = (uint8_t)g;
        *image++ = (uint8_t)b;
      }
    }
  }
  return 0;
}
