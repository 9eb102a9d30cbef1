// Names alone: what the plug-in's headers say of cuBLASLt, so that kernels which include them
// compile. Products would go through hipBLASLt, which is not mapped.
#pragma once

enum cublasStatus_t { CUBLAS_STATUS_SUCCESS = 0 };
