#include "edgecnn_decode.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define MAX_SIDE 65535u
#define MAX_PIXELS 100000000u
#define ORIENTATION_TAG 0x0112u

typedef struct {
  uint32_t height, width;
  unsigned depth, type, channels, interlaced;
  const uint8_t *palette, *clear; /* PLTE and tRNS, or NULL */
  uint32_t palette_size, clear_size;
  int orientation;
} png;

/* The chunks that hold compressed pixels, as one stream. */
typedef struct {
  const uint8_t *file;
  size_t size, at;
  z_stream inflater;
} pixel_stream;

static const uint8_t SIGNATURE[8] = {137, 80, 78, 71, 13, 10, 26, 10};
static const unsigned PASSES[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                      {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}; /* Adam7: x, y, steps */
static const unsigned WHOLE[1][4] = {{0, 0, 1, 1}};

static uint32_t big_endian(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The chunk at `at`: its name and content; returns where the next one begins, 0 where there is none. */
static size_t chunk_at(const uint8_t *file, size_t size, size_t at, const uint8_t **name, const uint8_t **content,
                       uint32_t *length) {
  if (at > size || size - at < 8) return 0;
  *length = big_endian(file + at);
  *name = file + at + 4;
  *content = file + at + 8;
  if (*length > size - at - 8) *length = (uint32_t)(size - at - 8); /* cut short */
  return at + 12 + (size_t)*length;
}

static int is(const uint8_t *name, const char *expected) { return memcmp(name, expected, 4) == 0; }

static unsigned short_at(const uint8_t *bytes, int little) {
  return little ? bytes[0] | (unsigned)bytes[1] << 8 : (unsigned)bytes[0] << 8 | bytes[1];
}

/* The tag in the first directory of TIFF data; 1 where it cannot be read. */
static int orientation_in(const uint8_t *exif, uint32_t length) {
  if (length < 8) return 1;
  const int little = exif[0] == 'I' && exif[1] == 'I';
  const uint32_t directory =
      little ? short_at(exif + 4, 1) | (uint32_t)short_at(exif + 6, 1) << 16 : big_endian(exif + 4);
  if (directory > length || length - directory < 2) return 1;
  const uint32_t count = short_at(exif + directory, little);
  for (uint32_t i = 0, entry = directory + 2; i < count && length - entry >= 12; i++, entry += 12) {
    if (short_at(exif + entry, little) == ORIENTATION_TAG) return (int)short_at(exif + entry + 8, little);
  }
  return 1;
}

static int is_known(unsigned type, unsigned depth) {
  const int is_power = depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
  if (!is_power) return 0;
  if (type == 0) return 1;
  if (type == 3) return depth <= 8;
  return (type == 2 || type == 4 || type == 6) && depth >= 8;
}

/* All but the pixels. */
static int read_png(const uint8_t *file, size_t size, png *found) {
  static const unsigned CHANNELS[7] = {1, 0, 3, 1, 2, 0, 4};
  const uint8_t *name, *content;
  uint32_t length;
  int has_pixels = 0;
  memset(found, 0, sizeof *found);
  found->orientation = 1;
  if (!edgecnn_is_png(file, size)) return EDGECNN_DAMAGED;
  for (size_t at = 8, next; (next = chunk_at(file, size, at, &name, &content, &length)) != 0; at = next) {
    if (is(name, "IHDR")) {
      if (length < 13 || content[10] || content[11] || content[12] > 1) return EDGECNN_DAMAGED;
      found->width = big_endian(content);
      found->height = big_endian(content + 4);
      found->depth = content[8];
      found->type = content[9];
      found->interlaced = content[12];
    } else if (is(name, "PLTE")) {
      found->palette = content;
      found->palette_size = length;
    } else if (is(name, "tRNS")) {
      found->clear = content;
      found->clear_size = length;
    } else if (is(name, "eXIf")) {
      found->orientation = orientation_in(content, length);
    } else if (is(name, "IDAT")) {
      has_pixels = 1;
    } else if (is(name, "IEND")) {
      break;
    }
  }
  if (!has_pixels || !found->height || !found->width || !is_known(found->type, found->depth)) return EDGECNN_DAMAGED;
  if (found->type == 3 && !found->palette) return EDGECNN_DAMAGED;
  if (found->height > MAX_SIDE || found->width > MAX_SIDE) return EDGECNN_TOO_LARGE;
  if ((uint64_t)found->height * found->width > MAX_PIXELS) return EDGECNN_TOO_LARGE;
  found->channels = CHANNELS[found->type];
  return 0;
}

/* Fill a buffer with the next bytes; 0 where there are not as many. */
static int next_bytes(pixel_stream *stream, uint8_t *bytes, size_t count) {
  z_stream *const inflater = &stream->inflater;
  inflater->next_out = bytes;
  inflater->avail_out = (uInt)count;
  while (inflater->avail_out) {
    if (!inflater->avail_in) {
      const uint8_t *name, *content;
      uint32_t length;
      const size_t next = chunk_at(stream->file, stream->size, stream->at, &name, &content, &length);
      if (!next || is(name, "IEND")) return 0;
      stream->at = next;
      if (!is(name, "IDAT")) continue;
      inflater->next_in = (Bytef *)content;
      inflater->avail_in = length;
      continue;
    }
    const int code = inflate(inflater, Z_NO_FLUSH);
    if (code != Z_OK && !(code == Z_STREAM_END && !inflater->avail_out)) return 0;
  }
  return 1;
}

static uint8_t paeth(int a, int b, int c) {
  const int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);
  return (uint8_t)(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

/* Undo a row's filter in place (PNG, 9.2); `step` is the number of bytes to the left pixel. */
static void unfilter(unsigned filter, uint8_t *row, const uint8_t *above, size_t size, size_t step) {
  for (size_t i = 0; i < size; i++) {
    const int a = i < step ? 0 : row[i - step], b = above[i], c = i < step ? 0 : above[i - step];
    const int predicted = filter == 1 ? a : filter == 2 ? b : filter == 3 ? (a + b) / 2 : filter == 4 ? paeth(a, b, c) : 0;
    row[i] = (uint8_t)(row[i] + predicted);
  }
}

static uint8_t over_white(unsigned value, unsigned alpha) {
  return (uint8_t)((value * alpha + 255u * (255u - alpha) + 127u) / 255u);
}

/* Pixel x of a row, of 16 bits the upper 8. */
static void put_pixel(const png *file, const uint8_t *row, uint32_t x, uint8_t *rgb) {
  const unsigned depth = file->depth, wide = depth == 16 ? 2 : 1;
  const uint8_t *const pixel = row + (size_t)x * file->channels * wide;
  const uint8_t *const clear = file->clear_size >= 2 * file->channels ? file->clear : NULL; /* 16 bits a channel */
  unsigned value, alpha = 255;
  if (depth < 8) {
    value = row[(size_t)x * depth / 8] >> (8 - depth - x * depth % 8) & ((1u << depth) - 1);
  } else {
    value = *pixel;
  }
  switch (file->type) {
    case 3:
      if (value < file->clear_size) alpha = file->clear[value];
      for (unsigned c = 0; c < 3; c++)
        rgb[c] = over_white(3 * value + c < file->palette_size ? file->palette[3 * value + c] : 0, alpha);
      return;
    case 0:
      if (clear && short_at(clear, 0) == (wide == 2 ? short_at(pixel, 0) : value)) alpha = 0;
      if (depth < 8) value *= 255 / ((1u << depth) - 1);
      rgb[0] = rgb[1] = rgb[2] = over_white(value, alpha);
      return;
    case 2:
      alpha = 0;
      for (unsigned c = 0; c < 3; c++)
        if (!clear || clear[2 * c + 2 - wide] != pixel[c * wide]) alpha = 255;
      break;
    default:
      alpha = pixel[(file->channels - 1) * wide];
  }
  for (unsigned c = 0; c < 3; c++) rgb[c] = over_white(pixel[file->type == 4 ? 0 : c * wide], alpha);
}

/* Each pass of an interlaced file, or the one pass of another. */
static int decode_passes(const png *file, pixel_stream *stream, uint8_t *above, uint8_t *row, uint8_t *rgb) {
  const unsigned bits = file->channels * file->depth;
  const unsigned(*const passes)[4] = file->interlaced ? PASSES : WHOLE;
  for (unsigned p = 0; p < (file->interlaced ? 7u : 1u); p++) {
    const unsigned x0 = passes[p][0], y0 = passes[p][1], dx = passes[p][2], dy = passes[p][3];
    if (file->width <= x0) continue;
    const uint32_t count = (file->width - x0 + dx - 1) / dx;
    const size_t size = ((size_t)count * bits + 7) / 8;
    memset(above, 0, size);
    for (uint32_t y = y0; y < file->height; y += dy) {
      uint8_t filter, *const swapped = above;
      if (!next_bytes(stream, &filter, 1) || filter > 4 || !next_bytes(stream, row, size)) return EDGECNN_DAMAGED;
      unfilter(filter, row, above, size, bits < 8 ? 1 : bits / 8);
      for (uint32_t x = 0; x < count; x++)
        put_pixel(file, row, x, rgb + ((size_t)y * file->width + x0 + (size_t)x * dx) * 3);
      above = row;
      row = swapped;
    }
  }
  return 0;
}

int edgecnn_is_png(const uint8_t *file, size_t size) { return size >= 8 && memcmp(file, SIGNATURE, 8) == 0; }

int edgecnn_png_size(const uint8_t *file, size_t size, uint32_t *height, uint32_t *width) {
  png found;
  const int code = read_png(file, size, &found);
  *height = found.height;
  *width = found.width;
  return code;
}

int edgecnn_png_decode(const uint8_t *file, size_t size, uint8_t *rgb, int *orientation) {
  png found;
  pixel_stream stream = {file, size, 8, {0}};
  int code = read_png(file, size, &found);
  if (code) return code;
  *orientation = found.orientation;
  const size_t longest = ((size_t)found.width * found.channels * found.depth + 7) / 8;
  uint8_t *const rows = malloc(2 * longest);
  if (!rows) return EDGECNN_TOO_LARGE;
  if (inflateInit(&stream.inflater) == Z_OK) {
    code = decode_passes(&found, &stream, rows, rows + longest, rgb);
    inflateEnd(&stream.inflater);
  } else {
    code = EDGECNN_TOO_LARGE;
  }
  free(rows);
  return code;
}

void edgecnn_turn(const uint8_t *rgb, uint32_t height, uint32_t width, int orientation, uint8_t *turned) {
  const int is_known_one = orientation >= 2 && orientation <= 8, is_swapped = is_known_one && orientation >= 5;
  const uint32_t out_height = is_swapped ? width : height, out_width = is_swapped ? height : width;
  const int mirrors_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const int mirrors_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  for (uint32_t y = 0; y < out_height; y++) {
    for (uint32_t x = 0; x < out_width; x++) {
      const uint32_t u = mirrors_x ? out_width - 1 - x : x, v = mirrors_y ? out_height - 1 - y : y;
      memcpy(turned, rgb + 3 * (is_swapped ? (size_t)u * width + v : (size_t)v * width + u), 3);
      turned += 3;
    }
  }
}

uint32_t edgecnn_crc32(const uint8_t *bytes, size_t size) { return (uint32_t)crc32_z(crc32(0, NULL, 0), bytes, size); }
