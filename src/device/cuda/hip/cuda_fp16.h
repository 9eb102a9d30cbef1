// HIP's halves have CUDA's names.
#pragma once

#include "cuda_runtime.h"
