/* From a camera's frame to a model's input, the same to the bit as edgecnn's preprocessing in Python.

   Antialiased bilinear in 15-bit fixed point, first every row, then every column; alpha over white; luma for a model
   of one channel. C99 with stdint and stddef alone; no allocation, no floating point, no globals. */

#ifndef EDGECNN_IMAGE_H
#define EDGECNN_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGECNN_MAX_SIDE 65535u

typedef enum {
  EDGECNN_GRAY8,
  EDGECNN_RGB888,
  EDGECNN_RGBA8888, /* straight alpha */
  EDGECNN_RGB565,   /* 16 bits, little-endian: red in the upper 5 */
  EDGECNN_YUYV,     /* 4:2:2, Y0 U Y1 V; the width is even */
  EDGECNN_NV12,     /* 4:2:0, a plane of Y and one of U V pairs */
  EDGECNN_NV21      /* the same with V U pairs */
} edgecnn_format;

/* YUV is BT.601 of full range, as in JFIF and in Android's YUV_420_888. */
typedef struct {
  edgecnn_format format;
  uint32_t height, width; /* 1 to EDGECNN_MAX_SIDE */
  const uint8_t *pixels;  /* the first row; of NV12 and NV21 the plane of Y */
  size_t stride;          /* bytes from a row to the next */
  const uint8_t *chroma;  /* the plane of pairs, for every second row; NULL for the other formats */
  size_t chroma_stride;
} edgecnn_frame;

/* Bytes of scratch memory, aligned to 4, that edgecnn_resize needs for such sizes. */
size_t edgecnn_resize_scratch(uint32_t height, uint32_t width, uint32_t out_height, uint32_t out_width);

/* Write uint8 [out_height, out_width, channels] of a frame to image; channels is 1 or 3.
   Returns 0, or -1 for an argument that cannot be: then nothing is written. */
int edgecnn_resize(const edgecnn_frame *frame, uint8_t *image, uint32_t out_height, uint32_t out_width,
                   uint32_t channels, void *scratch);

#ifdef __cplusplus
}
#endif

#endif
