/* Rounding as in TFLite Micro and CMSIS-NN: twice, after the multiplication and after the shift, there a tie away from
 * zero. */
#pragma once
#include "fixed_point.h"

typedef int32_t multiplier_t;

/* The output of a sum, from zero on. */
ALWAYS_INLINE int32_t rounded(int32_t sum, multiplier_t multiplier, int shift) {
    return scaled(sum, multiplier, shift);
}

#define rounded_depthwise rounded
#define rounded_dense rounded
