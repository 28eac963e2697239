/* Weights and inputs in groups of GROUP. */
#pragma once
#include "kernel.h"

/* The number of inputs of an output, and behind the last of them zeros, so that groups are whole. */
ALWAYS_INLINE int padded(int depth) {
    return (depth + GROUP - 1) / GROUP * GROUP;
}
