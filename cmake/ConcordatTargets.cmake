# The functions by which areas, tests and must-not-compile tests are declared.

set(CONCORDAT_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wconversion
    -Wno-sign-conversion -Wold-style-cast -Woverloaded-virtual)

# concordat_flags(TARGET [test])
#   Warnings and sanitizers. A test's own sources have of the undefined-behaviour checks those of
#   arithmetic and bounds, which compile in two thirds of the time; what they test has everything.
function(concordat_flags target)
  target_compile_options(${target} PRIVATE ${CONCORDAT_WARNINGS})
  if(CONCORDAT_PRECOMPILE AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # GCC 12 warns of libstdc++'s own std::string (GCC bugs 105329, 105651); a precompiled header
    # hides that the code is the system's.
    target_compile_options(${target} PRIVATE -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow)
  endif()
  if(CONCORDAT_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  set(sanitize "${CONCORDAT_SANITIZE}")
  if(ARGV1 STREQUAL "test")
    string(REPLACE undefined signed-integer-overflow,shift,bounds,enum,bool,float-cast-overflow
           sanitize "${sanitize}")
  endif()
  if(CONCORDAT_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${sanitize}
                           -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${CONCORDAT_SANITIZE})
  endif()
endfunction()

# concordat_precompile(TARGET KIND) with KIND area or test
#   Uses the precompiled headers of its kind (cmake/precompiled.hpp, for tests also GoogleTest's),
#   which are made once per build. Targets with code generation flags of their own stay without.
function(concordat_precompile target kind)
  if(NOT CONCORDAT_PRECOMPILE)
    return()
  endif()
  set(owner concordat_precompiled_${kind})
  if(NOT TARGET ${owner})
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${owner}.cpp CONTENT "")
    add_library(${owner} OBJECT ${PROJECT_BINARY_DIR}/${owner}.cpp)
    target_include_directories(${owner} PRIVATE ${PROJECT_SOURCE_DIR}/include)
    target_precompile_headers(${owner} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled.hpp)
    if(kind STREQUAL test)
      target_precompile_headers(${owner} PRIVATE <gtest/gtest.h>)
      target_link_libraries(${owner} PRIVATE GTest::gtest)
    endif()
    target_link_libraries(${owner} PRIVATE Threads::Threads OpenMP::OpenMP_CXX)
    concordat_flags(${owner} ${kind})
  endif()
  target_link_libraries(${target} PRIVATE OpenMP::OpenMP_CXX)
  target_precompile_headers(${target} REUSE_FROM ${owner})
endfunction()

# concordat_area(NAME SOURCES file... [AREAS area...] [PRIVATE target...])
#   A static library concordat_NAME. AREAS are areas on lower floors that its headers or sources
#   use; PRIVATE are outside libraries, which stay out of the public headers. OPTIONS are code
#   generation flags of all its sources.
function(concordat_area name)
  cmake_parse_arguments(ARG "" "" "SOURCES;AREAS;PRIVATE;OPTIONS" ${ARGN})
  set(target concordat_${name})
  add_library(${target} STATIC ${ARG_SOURCES})
  add_library(concordat::${name} ALIAS ${target})
  target_include_directories(${target}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
  foreach(area IN LISTS ARG_AREAS)
    target_link_libraries(${target} PUBLIC concordat_${area})
  endforeach()
  target_link_libraries(${target} PRIVATE ${ARG_PRIVATE} Threads::Threads)
  concordat_flags(${target})
  if(ARG_OPTIONS)
    target_compile_options(${target} PRIVATE ${ARG_OPTIONS})
  else()
    concordat_precompile(${target} area)
  endif()
endfunction()

# concordat_test(NAME SOURCES file... [ALONE file...] AREAS area... [RANKS n] [TIMEOUT s] [LABELS l...] [PRIVATE t...]
#                [ENVIRONMENT e=v...] [FULL pattern...] [MANY_FILES])
#   One test program, its sources compiled five at a time (CONCORDAT_UNITE_TESTS), so that what they
#   include and instantiate is compiled once: names in their anonymous namespaces differ, and a source
#   of which that is asked too much stays ALONE. RANKS n starts it under mpirun with n ranks and demands tests/support/mpi_main.
#   Every test has a watchdog (TIMEOUT, 60 s unless given).
#   FULL: the program's tests of these names (--gtest_filter) are long: NAME, of the quick suite, runs
#   all others, and NAME_full, of the full one, runs these.
#   MANY_FILES: its thousands of small files lie in memory where it can be; a disk that others sync
#   makes them ten times as slow.
function(concordat_test name)
  cmake_parse_arguments(ARG "MANY_FILES" "RANKS;TIMEOUT"
                        "SOURCES;ALONE;AREAS;LABELS;PRIVATE;ENVIRONMENT;FULL" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  foreach(area IN LISTS ARG_AREAS)
    target_link_libraries(${name} PRIVATE concordat_${area})
  endforeach()
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE
    CONCORDAT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  concordat_flags(${name} test)
  concordat_precompile(${name} test)
  if(CONCORDAT_UNITE_TESTS)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 5)
    set_source_files_properties(${ARG_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  if(ARG_RANKS)
    target_link_libraries(${name} PRIVATE ${ARG_PRIVATE} GTest::gtest concordat_test_mpi_main)
    set(command ${PROJECT_SOURCE_DIR}/tests/support/mpirun.sh ${ARG_RANKS} $<TARGET_FILE:${name}>)
  else()
    target_link_libraries(${name} PRIVATE ${ARG_PRIVATE} GTest::gtest_main)
    set(command ${name})
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS quick)
  endif()
  if(ARG_MANY_FILES AND IS_DIRECTORY /dev/shm)
    list(APPEND ARG_ENVIRONMENT TMPDIR=/dev/shm TEST_TMPDIR=/dev/shm/)
  endif()
  if(ARG_FULL)
    list(JOIN ARG_FULL ":" long)
    add_test(NAME ${name} COMMAND ${command} --gtest_filter=-${long})
    add_test(NAME ${name}_full COMMAND ${command} --gtest_filter=${long})
    set_tests_properties(${name}_full PROPERTIES LABELS full FAIL_REGULAR_EXPRESSION "Running 0 tests")
    set(tests ${name} ${name}_full)
  else()
    add_test(NAME ${name} COMMAND ${command})
    set(tests ${name})
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}")
  set_tests_properties(${tests} PROPERTIES TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT "${ARG_ENVIRONMENT}")
  if(ARG_RANKS GREATER 1)
    set_tests_properties(${tests} PROPERTIES PROCESSORS 2)
  endif()
endfunction()

# concordat_must_not_compile(NAME SOURCE file AREAS area...)
#   Passes when SOURCE compiles without -DCONCORDAT_MISUSE and fails with it.
function(concordat_must_not_compile name)
  cmake_parse_arguments(ARG "" "SOURCE" "AREAS" ${ARGN})
  add_test(NAME ${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/support/must_not_compile.sh
           ${CMAKE_CXX_COMPILER} ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SOURCE})
  set_tests_properties(${name} PROPERTIES TIMEOUT 60 LABELS "quick")
endfunction()
