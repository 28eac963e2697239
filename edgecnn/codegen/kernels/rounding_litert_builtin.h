/* Rounding as in LiteRT without a delegate: twice, after the multiplication and after the shift, a tie upwards,
 * but of a depthwise convolution away from zero. */
#pragma once
#include "fixed_point.h"

typedef int32_t multiplier_t;

/* The output of a sum, from zero on. */
ALWAYS_INLINE int32_t rounded(int32_t sum, multiplier_t multiplier, int shift) {
    const int left = shift > 0 ? shift : 0, right = left - shift;
    const int32_t product = multiplied(sum * ((int32_t)1 << left), multiplier);
    return (int32_t)((product + (((int64_t)1 << right) >> 1)) >> right);
}

#define rounded_depthwise scaled
#define rounded_dense rounded
