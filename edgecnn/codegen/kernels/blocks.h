/* What the kernels of blocks share: windows, the inputs of a pixel side by side, as the target's instructions take them. */
#pragma once
#include "kernel.h"
#include "multiply.h"
#include "padded.h"
#include "rounding.h"

/* The outputs of a pixel: of each channel the largest of `pool` sums, which are yet without their bias. */
ALWAYS_INLINE void write_block(
    const int32_t *sums, int pool, int block, int wanted, int8_t *output, int output_zero, int low, int high,
    const int32_t *bias, const multiplier_t *multipliers, const int8_t *shifts, int dense
) {
    for (int c = 0; c < wanted; c++) {
        int32_t sum = sums[c];
        for (int i = 1; i < pool; i++) {
            sum = sums[i * block + c] > sum ? sums[i * block + c] : sum;
        }
        sum += bias[c];
        sum = dense ? rounded_dense(sum, multipliers[c], shifts[c]) : rounded(sum, multipliers[c], shifts[c]);
        output[c] = clamped(sum + output_zero, low, high);
    }
}
