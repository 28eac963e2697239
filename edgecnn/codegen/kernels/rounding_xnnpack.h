/* Rounding as in XNNPACK: multiplied in float32, then to the nearest, of two the even one.
 *
 * What is added and taken away again leaves a float32 no bits behind the point, and rounds as the processor does; a
 * compiler must not simplify that (no -ffast-math).
 */
#pragma once
#include "kernel.h"

typedef float multiplier_t;

/* The output of a sum, from zero on. */
ALWAYS_INLINE int32_t rounded(int32_t sum, multiplier_t multiplier, int shift) {
    const float nearest = 12582912.0f; /* 1.5 * 2^23 */
    const float product = (float)sum * multiplier;
    const float above = product < -512.0f ? -512.0f : product;
    const float bounded = above > 512.0f ? 512.0f : above;
    (void)shift;
    return (int32_t)((bounded + nearest) - nearest);
}

#define rounded_depthwise rounded
#define rounded_dense rounded
