/* Rounding as in LiteRT's reference kernels: as in TFLite Micro, but a dense layer rounds once, a tie upwards. */
#pragma once
#include "fixed_point.h"

typedef int32_t multiplier_t;

/* The output of a sum, from zero on. */
ALWAYS_INLINE int32_t rounded(int32_t sum, multiplier_t multiplier, int shift) {
    return scaled(sum, multiplier, shift);
}

#define rounded_depthwise rounded

ALWAYS_INLINE int32_t rounded_dense(int32_t sum, multiplier_t multiplier, int shift) {
    return (int32_t)(((int64_t)sum * multiplier + ((int64_t)1 << (30 - shift))) >> (31 - shift));
}
