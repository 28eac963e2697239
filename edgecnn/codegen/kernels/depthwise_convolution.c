/* Depthwise convolution: output channel c reads input channel c / multiple alone; weights are [height][width][channel].
 *
 * An accumulator begins with the bias less the zero point of the input times the weights, as in convolution.c.
 */
#include "kernel.h"
#include "rounding.h"

ALWAYS_INLINE void depthwise_convolution(
    const int8_t *input, int height, int width, int channels, int zero,
    int8_t *output, int output_height, int output_width, int output_channels, int output_zero, int low, int high,
    const int8_t *weights, const int32_t *bias, const multiplier_t *multipliers, const int8_t *shifts,
    int kernel_height, int kernel_width, int stride_y, int stride_x, int padding_y, int padding_x
) {
    const int multiple = output_channels / channels;
    for (int y = 0; y < output_height; y++) {
        for (int x = 0; x < output_width; x++) {
            for (int c = 0; c < output_channels; c++) {
                int32_t sum = bias[c];
                for (int kernel_y = 0; kernel_y < kernel_height; kernel_y++) {
                    for (int kernel_x = 0; kernel_x < kernel_width; kernel_x++) {
                        const int row = y * stride_y - padding_y + kernel_y;
                        const int column = x * stride_x - padding_x + kernel_x;
                        const int inside = row >= 0 && row < height && column >= 0 && column < width;
                        const int32_t value = inside ? input[(row * width + column) * channels + c / multiple] : zero;
                        sum += value * weights[(kernel_y * kernel_width + kernel_x) * output_channels + c];
                    }
                }
                *output++ = clamped(rounded_depthwise(sum, multipliers[c], shifts[c]) + output_zero, low, high);
            }
        }
    }
}
