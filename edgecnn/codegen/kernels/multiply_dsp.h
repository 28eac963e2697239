/* Blocks with the DSP instructions of Cortex-M4, M7 and M33: two products of 16 bits at once, added in 32 bits. */
#pragma once
#if !defined(__ARM_FEATURE_DSP)
#error "This file is for Cortex-M with DSP instructions: compile it with -mcpu=cortex-m4, or another that has them"
#endif
#include <arm_acle.h>
#include <string.h>
#include "kernel.h"
#include "unroll.h"

#define GROUP 4
typedef int16_t window_t;

ALWAYS_INLINE void widen(const int8_t *input, window_t *window, int count) {
    for (int i = 0; i < count; i++) {
        window[i] = input[i];
    }
}

ALWAYS_INLINE void fill(int value, window_t *window, int count) {
    for (int i = 0; i < count; i++) {
        window[i] = (int16_t)value;
    }
}

ALWAYS_INLINE int16x2_t pair(const window_t *window) {
    int16x2_t values;
    memcpy(&values, window, sizeof values);
    return values;
}

/* Sums of up to four windows with the weights of a channel. They lie in the order 0, 2, 1, 3, so that the bytes that are
 * extended together belong to neighbours. */
ALWAYS_INLINE void multiply(
    const window_t *windows, int depth, const int8_t *weights, int pixels, int block, int32_t *sums
) {
    int32_t sum[4] = {0, 0, 0, 0};
    (void)block;
    for (int at = 0; at < depth; at += GROUP) {
        uint32_t four;
        memcpy(&four, weights + at, sizeof four);
        const int16x2_t first = __sxtb16(four);
        int16x2_t second;
        __asm__("sxtb16 %0, %1, ror #8" : "=r"(second) : "r"(four)); /* a compiler rotates first */
        UNROLL
        for (int pixel = 0; pixel < pixels; pixel++) {
            const window_t *const window = windows + pixel * depth + at;
            sum[pixel] = __smlad(pair(window), first, sum[pixel]);
            sum[pixel] = __smlad(pair(window + 2), second, sum[pixel]);
        }
    }
    UNROLL
    for (int pixel = 0; pixel < pixels; pixel++) {
        sums[pixel] = sum[pixel];
    }
}
