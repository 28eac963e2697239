/* Convolution, with a max pooling of its outputs (1 x 1 with stride 1: none).
 *
 * An accumulator begins with the bias less the zero point of the input times the weights, so the input is multiplied
 * as it is; outside it lie zero points. Four output channels are computed at a time, so that each input is read once
 * for them. The output may lie over the input where no pixel is written before all that reads it.
 */
#include "kernel.h"
#include "multiply_add.h"
#include "rows.h"
#include "padded.h"
#include "rounding.h"

#define LOWEST INT32_MIN

/* Add the products of the input `zero` with weights of four channels to their sums. */
ALWAYS_INLINE void multiply_add_zero(int zero, const int8_t *const weights[4], int at, int count, int32_t sums[4]) {
    for (int i = 0; i < count; i++) {
        for (int c = 0; c < 4; c++) {
            sums[c] += (int32_t)zero * weights[c][at + i];
        }
    }
}

/* Add the products of the window that begins at row `top` and column `left`, which may lie outside the input. */
ALWAYS_INLINE void add_window(
    const int8_t *input, int height, int width, int channels,
    const int8_t *const weights[4], int kernel_height, int kernel_width, int top, int left, int zero, int32_t sums[4]
) {
    const int run = kernel_width * channels;
    if (top >= 0 && left >= 0 && top + kernel_height <= height && left + kernel_width <= width) {
        for (int y = 0; y < kernel_height; y++) {
            multiply_add(input + ((top + y) * width + left) * channels, weights, y * run, run, sums);
        }
        return;
    }
    for (int y = 0; y < kernel_height; y++) {
        for (int x = 0; x < kernel_width; x++) {
            const int row = top + y, column = left + x, at = y * run + x * channels;
            if (row >= 0 && row < height && column >= 0 && column < width) {
                multiply_add(input + (row * width + column) * channels, weights, at, channels, sums);
            } else {
                multiply_add_zero(zero, weights, at, channels, sums);
            }
        }
    }
}

ALWAYS_INLINE void convolution(
    const int8_t *input, int height, int width, int channels, int zero,
    int8_t *output, int output_height, int output_width, int output_channels, int output_zero, int low, int high,
    const int8_t *weights, const int32_t *bias, const multiplier_t *multipliers, const int8_t *shifts,
    int kernel_height, int kernel_width, int stride_y, int stride_x, int padding_y, int padding_x,
    int pool_height, int pool_width, int pool_stride_y, int pool_stride_x,
    window_t *windows, int32_t *sums_of_windows, int pixels, int block
) {
    const int depth = padded(kernel_height * kernel_width * channels);
    (void)windows, (void)sums_of_windows, (void)pixels, (void)block; /* of convolution_blocked.c */
    for (int y = 0; y < output_height; y++) {
        for (int x = 0; x < output_width; x++) {
            for (int c = 0; c < output_channels; c += 4) {
                const int8_t *rows[4];
                int32_t starts[4], largest[4];
                for (int i = 0; i < 4; i++) { /* the last channel again where there are no four left */
                    const int channel = c + i < output_channels ? c + i : output_channels - 1;
                    rows[i] = weights + channel * depth;
                    starts[i] = bias[channel];
                    largest[i] = LOWEST;
                }
                for (int pool_y = 0; pool_y < pool_height; pool_y++) {
                    for (int pool_x = 0; pool_x < pool_width; pool_x++) {
                        int32_t sums[4] = {starts[0], starts[1], starts[2], starts[3]};
                        const int top = (y * pool_stride_y + pool_y) * stride_y - padding_y;
                        const int left = (x * pool_stride_x + pool_x) * stride_x - padding_x;
                        add_window(
                            input, height, width, channels, rows, kernel_height, kernel_width, top, left, zero, sums
                        );
                        for (int i = 0; i < 4; i++) {
                            largest[i] = sums[i] > largest[i] ? sums[i] : largest[i];
                        }
                    }
                }
                for (int i = 0; i < 4 && c + i < output_channels; i++) {
                    const int32_t value = rounded(largest[i], multipliers[c + i], shifts[c + i]);
                    *output++ = clamped(value + output_zero, low, high);
                }
            }
        }
    }
}
