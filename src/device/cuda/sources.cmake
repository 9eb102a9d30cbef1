# The plug-in's sources, for the real build (here) and the emulated one (tests/support/cuda_emulator).
set(CONCORDAT_CUDA_SOURCES
    blas.cpp
    check.cpp
    cuda_backend.cpp
    cuda_graph.cpp
    cuda_stream.cpp
    device.cpp
    fused_products.cpp
    memory_pool.cpp
    transfers.cpp
    activations.cu
    attention_backward.cu
    attention_forward.cu
    attention_mma_backward.cu
    attention_mma_forward.cu
    copies.cu
    cross_entropy.cu
    elementwise.cu
    embedding.cu
    exact_quantise.cu
    matmul.cu
    norms.cu
    optimizer.cu
    rope.cu
    sums.cu)
list(TRANSFORM CONCORDAT_CUDA_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/src/device/cuda/")
# Several ranks: with NCCL, or the one file that says that it is not there.
set(CONCORDAT_CUDA_NCCL_SOURCES nccl_check.cpp nccl_communicator.cpp nccl_hub.cpp)
list(TRANSFORM CONCORDAT_CUDA_NCCL_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/src/device/cuda/")
set(CONCORDAT_CUDA_WITHOUT_NCCL_SOURCES ${PROJECT_SOURCE_DIR}/src/device/cuda/no_nccl.cpp)
# Those that must give the CPU's bits: compiled without contraction, flushing, approximations.
set(CONCORDAT_CUDA_EXACT_SOURCES ${PROJECT_SOURCE_DIR}/src/device/cuda/exact_quantise.cu)
# What the plug-in needs of the program, compiled into it: the program exports nothing.
set(CONCORDAT_CUDA_BASE_SOURCES
    core/dtype.cpp core/error.cpp core/storage.cpp core/tensor.cpp core/worker_stream.cpp
    device/backend_defaults.cpp)
list(TRANSFORM CONCORDAT_CUDA_BASE_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/src/")
