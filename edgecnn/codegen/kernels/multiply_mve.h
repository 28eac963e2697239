/* Blocks with the vectors of Cortex-M55 and M85: sixteen products at once, added in 32 bits. */
#pragma once
#if !defined(__ARM_FEATURE_MVE)
#error "This file is for Cortex-M with vectors (MVE): compile it with -mcpu=cortex-m55, or another that has them"
#endif
#include <arm_mve.h>
#include <string.h>
#include "kernel.h"
#include "unroll.h"

#define GROUP 16
typedef int8_t window_t;

ALWAYS_INLINE void widen(const int8_t *input, window_t *window, int count) {
    memcpy(window, input, (size_t)count);
}

ALWAYS_INLINE void fill(int value, window_t *window, int count) {
    for (int i = 0; i < count; i++) {
        window[i] = (int8_t)value;
    }
}

/* Sums of up to four windows with the weights of a channel. */
ALWAYS_INLINE void multiply(
    const window_t *windows, int depth, const int8_t *weights, int pixels, int block, int32_t *sums
) {
    int32_t sum[4] = {0, 0, 0, 0};
    (void)block;
    for (int at = 0; at < depth; at += GROUP) {
        const int8x16_t weight = vldrbq_s8(weights + at);
        UNROLL
        for (int pixel = 0; pixel < pixels; pixel++) {
            sum[pixel] = vmladavaq_s8(sum[pixel], vldrbq_s8(windows + pixel * depth + at), weight);
        }
    }
    UNROLL
    for (int pixel = 0; pixel < pixels; pixel++) {
        sums[pixel] = sum[pixel];
    }
}
