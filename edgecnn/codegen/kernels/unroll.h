/* The loop that follows, unrolled as a whole, so that what it indexes are registers. */
#pragma once
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
