/* The input with rows and columns of `zero` around it. */
#include "kernel.h"

ALWAYS_INLINE void pad(
    const int8_t *input, int height, int width, int channels, int zero,
    int8_t *output, int output_height, int output_width, int padding_y, int padding_x
) {
    for (int y = 0; y < output_height; y++) {
        for (int x = 0; x < output_width; x++) {
            const int row = y - padding_y, column = x - padding_x;
            const int inside = row >= 0 && row < height && column >= 0 && column < width;
            for (int c = 0; c < channels; c++) {
                *output++ = (int8_t)(inside ? input[(row * width + column) * channels + c] : zero);
            }
        }
    }
}
