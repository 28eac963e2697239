/* Rounding as in TFLite Micro and CMSIS-NN: twice, first after the multiplication, then after the shift. */
#pragma once
#include "fixed_point.h"

/* value * multiplier * 2^(shift - 31); value * 2^shift fits into 32 bits where the shift is to the left. */
ALWAYS_INLINE int32_t scaled(int32_t value, int32_t multiplier, int shift) {
    const int left = shift > 0 ? shift : 0;
    return halved(multiplied(value * ((int32_t)1 << left), multiplier), left - shift);
}
