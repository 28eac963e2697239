/* Weights of plain C: those of an output side by side, in whole groups, as a compiler's vectors want them. */
#pragma once

#define GROUP 8
typedef int16_t window_t;
