/* PNG files to RGB pixels, the same to the bit as edgecnn's preprocessing in Python: Apple's decoder premultiplies alpha
   and converts colors. And the orientation of any image. */

#ifndef EDGECNN_DECODE_H
#define EDGECNN_DECODE_H

#include <stddef.h>
#include <stdint.h>

#define EDGECNN_DAMAGED (-1)
#define EDGECNN_TOO_LARGE (-2)

/* Whether bytes begin as a PNG file does. */
int edgecnn_is_png(const uint8_t *file, size_t size);

/* Height and width of a PNG file, as it stores them. Returns 0, EDGECNN_DAMAGED, or EDGECNN_TOO_LARGE for more than
   100 million pixels or a side above 65,535. */
int edgecnn_png_size(const uint8_t *file, size_t size, uint32_t *height, uint32_t *width);

/* Write a PNG file's pixels to rgb, uint8 [height, width, 3], over white, and its EXIF orientation, 1 where there is none.
   Returns as edgecnn_png_size does, and EDGECNN_TOO_LARGE where memory is short. */
int edgecnn_png_decode(const uint8_t *file, size_t size, uint8_t *rgb, int *orientation);

/* Write uint8 [height, width, 3] as EXIF orientation 1 to 8 wants it shown, from 5 on [width, height, 3]; any other number
   is as 1. */
void edgecnn_turn(const uint8_t *rgb, uint32_t height, uint32_t width, int orientation, uint8_t *turned);

/* The CRC-32 of zlib and PNG. */
uint32_t edgecnn_crc32(const uint8_t *bytes, size_t size);

#endif
