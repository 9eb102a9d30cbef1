# Spack recipe: builds Concordat from source with the MPI, HDF5 and oneDNN that Spack has.
#
# Run:    nothing of this file by Spack; it was compiled by python3.
# Linted: by tests/house/packaging.py: it compiles, and the options of CMake that it sets exist.
#
#   spack repo create concordat-repo concordat
#   mkdir -p concordat-repo/packages/concordat      # spack_repo/concordat/packages/... from Spack 1.0
#   cp packaging/spack/package.py concordat-repo/packages/concordat/
#   spack repo add concordat-repo && spack install concordat

from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *


class Concordat(CMakePackage):
    """Sovereign HPC sites train one language model together: their data never leaves them, and
    only masked aggregates cross a border, under a policy, into a ledger that anyone can verify."""

    # Change this line to where your copy of the repository lies.
    git = "https://git.example.org/concordat.git"

    license("Apache-2.0")

    version("main", branch="main")

    variant("tests", default=False, description="Build the tests")
    variant("bench", default=False, description="Build the benchmarks")
    variant("sentencepiece", default=True, description="Read sentencepiece tokenizers")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("mpi@3.1:")
    depends_on("hdf5@1.10:")
    depends_on("openssl@3:")
    depends_on("boost@1.74: +program_options")
    depends_on("onednn@2.6: cpu_runtime=omp")
    depends_on("tomlplusplus@3.3:")
    depends_on("nlohmann-json@3.11:")
    depends_on("spdlog@1.10:")
    depends_on("sentencepiece", when="+sentencepiece")
    depends_on("googletest@1.12:", when="+tests")
    depends_on("benchmark@1.7:", when="+bench")

    requires("target=x86_64:", msg="vector code is for x86-64, from AVX2 upward")
    conflicts("%gcc@:11", msg="C++20 as used here needs GCC 12 or newer")

    generator("ninja")

    def cmake_args(self):
        return [
            self.define_from_variant("CONCORDAT_BUILD_TESTS", "tests"),
            self.define_from_variant("CONCORDAT_BUILD_BENCH", "bench"),
            self.define_from_variant("CONCORDAT_SENTENCEPIECE", "sentencepiece"),
            # Points where a test kills the process have no place in production.
            self.define_from_variant("CONCORDAT_KILL_POINTS", "tests"),
        ]

    @run_after("install")
    @on_package_attributes(run_tests=True)
    def check_version(self):
        Executable(self.prefix.bin.concordat)("--version")
