/* Convolution with a max pooling of its outputs, by blocks: the windows of several pixels are copied side by side, and
 * multiplied with a block of output channels at a time.
 *
 * Weights lie as [block][inputs / GROUP][channel][GROUP], with zeros where a block or a group is not full. A sum is
 * without the zero point of its input, which the bias holds. All windows are copied before any of their outputs is
 * written, so the output may lie over the input where no pixel is written before all that reads it.
 */
#include "blocks.h"

/* Copy the window that begins at row `top` and column `left`, which may lie outside the input. */
ALWAYS_INLINE void copy_window(
    const int8_t *input, int height, int width, int channels, int kernel_height, int kernel_width, int top, int left,
    int zero, window_t *window
) {
    const int run = kernel_width * channels, depth = kernel_height * run;
    const int inside = top >= 0 && left >= 0 && top + kernel_height <= height && left + kernel_width <= width;
    for (int y = 0; y < kernel_height; y++) {
        const int row = top + y;
        if (inside) {
            widen(input + (row * width + left) * channels, window + y * run, run);
            continue;
        }
        for (int x = 0; x < kernel_width; x++) {
            const int column = left + x;
            if (row >= 0 && row < height && column >= 0 && column < width) {
                widen(input + (row * width + column) * channels, window + y * run + x * channels, channels);
            } else {
                fill(zero, window + y * run + x * channels, channels);
            }
        }
    }
    fill(zero, window + depth, padded(depth) - depth);
}

ALWAYS_INLINE void convolution(
    const int8_t *input, int height, int width, int channels, int zero,
    int8_t *output, int output_height, int output_width, int output_channels, int output_zero, int low, int high,
    const int8_t *weights, const int32_t *bias, const multiplier_t *multipliers, const int8_t *shifts,
    int kernel_height, int kernel_width, int stride_y, int stride_x, int padding_y, int padding_x,
    int pool_height, int pool_width, int pool_stride_y, int pool_stride_x,
    window_t *windows, int32_t *sums, int pixels, int block
) {
    const int depth = padded(kernel_height * kernel_width * channels), pool = pool_height * pool_width;
    const int outputs = pool < pixels ? pixels / pool : 1; /* at a time, of one row */
    for (int y = 0; y < output_height; y++) {
        for (int x = 0; x < output_width; x += outputs) {
            const int left_over = output_width - x, count = left_over < outputs ? left_over : outputs;
            window_t *window = windows;
            for (int i = 0; i < count; i++) {
                for (int pool_y = 0; pool_y < pool_height; pool_y++) {
                    for (int pool_x = 0; pool_x < pool_width; pool_x++, window += depth) {
                        const int top = (y * pool_stride_y + pool_y) * stride_y - padding_y;
                        const int left = ((x + i) * pool_stride_x + pool_x) * stride_x - padding_x;
                        copy_window(
                            input, height, width, channels, kernel_height, kernel_width, top, left, zero, window
                        );
                    }
                }
            }
            for (int c = 0; c < output_channels; c += block) {
                const int rest = output_channels - c;
                const int wanted = output_channels % block == 0 || rest > block ? block : rest;
                for (int i = 0; i < outputs * pool; i += pixels) {
                    multiply(windows + i * depth, depth, weights + c * depth, pixels, block, sums + i * block);
                }
                for (int i = 0; i < count; i++) {
                    write_block(
                        sums + i * pool * block, pool, block, wanted, output + i * output_channels + c, output_zero, low,
                        high, bias + c, multipliers + c, shifts + c, 0
                    );
                }
            }
            output += count * output_channels;
        }
    }
}
