/* How a sum becomes an output; a model's file has the header of one runtime in this place. */
#pragma once
#include "rounding_tflite_micro.h"
