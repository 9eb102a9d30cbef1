# CONCORDAT_CUDA_CONTRACT: what the program and its plug-in must share, because C++ objects cross
# between them: the version, the compiler and a digest of the headers whose types cross.
file(GLOB headers CONFIGURE_DEPENDS
     "${PROJECT_SOURCE_DIR}/include/concordat/device/*.hpp"
     "${PROJECT_SOURCE_DIR}/include/concordat/device/ops/*.hpp")
foreach(name bytes dtype error storage stream tensor)
  list(APPEND headers "${PROJECT_SOURCE_DIR}/include/concordat/core/${name}.hpp")
endforeach()
foreach(name lanes quantiser)
  list(APPEND headers "${PROJECT_SOURCE_DIR}/include/concordat/exact/${name}.hpp")
endforeach()
foreach(name communicator errors handle)
  list(APPEND headers "${PROJECT_SOURCE_DIR}/include/concordat/comm/${name}.hpp")
endforeach()
list(APPEND headers "${PROJECT_SOURCE_DIR}/src/device/kernels.hpp"
     "${PROJECT_SOURCE_DIR}/src/device/cuda/plugin_contract.hpp")
list(SORT headers)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${headers})
set(digests "")
foreach(header IN LISTS headers)
  file(SHA256 "${header}" digest)
  string(APPEND digests "${digest}")
endforeach()
string(SHA256 digest "${digests}")
string(SUBSTRING "${digest}" 0 16 digest)
set(CONCORDAT_CUDA_CONTRACT
    "concordat ${PROJECT_VERSION}, ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, contracts ${digest}")
