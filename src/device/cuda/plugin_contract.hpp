// What the program and the plug-in agree on before one uses the other: C++ objects cross between
// them, so both must come from the same contracts and the same compiler.
#pragma once

namespace concordat::device {

class Backend;
struct BackendOptions;

namespace cuda {

/// Version, compiler and a digest of the headers whose types cross
/// (src/device/cuda/contract.cmake).
inline constexpr char contract[] = CONCORDAT_CUDA_CONTRACT;

inline constexpr char library_name[] = "libconcordat_cuda.so";
inline constexpr char contract_symbol[] = "concordat_cuda_contract";
inline constexpr char make_backend_symbol[] = "concordat_cuda_make_backend";
using ContractFunction = const char*();
/// The caller owns the back end. Exceptions cross.
using MakeBackendFunction = Backend*(const BackendOptions&);

}  // namespace cuda
}  // namespace concordat::device
