/* The largest value of each window; what lies outside the input does not count. */
#include "kernel.h"

ALWAYS_INLINE void max_pooling(
    const int8_t *input, int height, int width, int channels,
    int8_t *output, int output_height, int output_width, int low, int high,
    int window_height, int window_width, int stride_y, int stride_x, int padding_y, int padding_x
) {
    for (int y = 0; y < output_height; y++) {
        for (int x = 0; x < output_width; x++) {
            for (int c = 0; c < channels; c++) {
                int largest = -128;
                for (int window_y = 0; window_y < window_height; window_y++) {
                    for (int window_x = 0; window_x < window_width; window_x++) {
                        const int row = y * stride_y - padding_y + window_y;
                        const int column = x * stride_x - padding_x + window_x;
                        if (row >= 0 && row < height && column >= 0 && column < width) {
                            const int value = input[(row * width + column) * channels + c];
                            largest = value > largest ? value : largest;
                        }
                    }
                }
                *output++ = clamped(largest, low, high);
            }
        }
    }
}
