# The project's build functions. A room is one library; USES is the include table, as code.

set(FALLOW_WARNINGS -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees overlaps in every `"x" + string` (its bug 105329) and uninitialised errors in every empty Status.
  list(APPEND FALLOW_WARNINGS -Wno-restrict -Wno-maybe-uninitialized)
endif()

function(_fallow_settings target)
  target_compile_features(${target} PUBLIC cxx_std_23)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  target_compile_options(${target} PRIVATE ${FALLOW_WARNINGS})
  if(FALLOW_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# fallow_library(NAME SOURCES a.cc … USES room … LINKS external …) makes the static library fallow_NAME.
# USES names other rooms; LINKS names targets or libraries from outside the project.
function(fallow_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LINKS" ${ARGN})
  add_library(fallow_${name} STATIC ${ARG_SOURCES})
  _fallow_settings(fallow_${name})
  list(TRANSFORM ARG_USES PREPEND fallow_)
  target_link_libraries(fallow_${name} PUBLIC ${ARG_USES} ${ARG_LINKS})
endfunction()

# fallow_program(NAME SOURCES … USES … LINKS …) makes the executable NAME in <build>/bin.
function(fallow_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  _fallow_settings(${name})
  list(TRANSFORM ARG_USES PREPEND fallow_)
  target_link_libraries(${name} PRIVATE ${ARG_USES} ${ARG_LINKS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()

# fallow_test(NAME SOURCES x_test.cc … USES room … LINKS …) makes a GoogleTest program whose every case is a ctest case.
# A case that calls GTEST_SKIP is reported as skipped, never as passed. LABELS and TIMEOUT_S are passed to ctest, and so is
# FIXTURE: the ctest fixture that must be set up before.
function(fallow_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT_S;FIXTURE" "SOURCES;USES;LINKS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT_S)
    set(ARG_TIMEOUT_S 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  _fallow_settings(${name})
  list(TRANSFORM ARG_USES PREPEND fallow_)
  target_link_libraries(${name} PRIVATE ${ARG_USES} ${ARG_LINKS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE FALLOW_SOURCE_DIR="${PROJECT_SOURCE_DIR}" FALLOW_BINARY_DIR="${PROJECT_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  set(fixture "") # an empty value would lose its place among the properties
  if(ARG_FIXTURE)
    set(fixture FIXTURES_REQUIRED ${ARG_FIXTURE})
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${ARG_TIMEOUT_S} ${fixture} LABELS "${ARG_LABELS}")
endfunction()

# fallow_fuzz(NAME SOURCES x_fuzz.cc USES …) makes a libFuzzer program in the `fuzz` preset; in the others the same
# source is linked to a driver that replays its seed corpus tests/fuzz/corpus/NAME as an ordinary test.
function(fallow_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LINKS" ${ARGN})
  set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  list(TRANSFORM ARG_USES PREPEND fallow_)
  if(FALLOW_FUZZ)
    add_executable(fuzz_${name} ${ARG_SOURCES})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(fuzz_${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    add_test(NAME fuzz_corpus.${name} COMMAND fuzz_${name} ${corpus})
    set_tests_properties(fuzz_corpus.${name} PROPERTIES TIMEOUT 120)
  endif()
  _fallow_settings(fuzz_${name})
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_USES} ${ARG_LINKS})
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
endfunction()

# fallow_shader(NAME SOURCE x.comp DEFINES A=1 …) compiles one kernel variant at build time: glslc (whose optimiser is off:
# unrolling, it forgets NoContraction on the copies; drivers optimise anyway), spirv-val, and its
# words in <build>/generated/shaders/NAME.inc. fallow_shader_table(FILE) writes the source file that lists them all.
find_program(GLSLC glslc REQUIRED)
find_program(SPIRV_VAL spirv-val REQUIRED)
function(fallow_shader name)
  cmake_parse_arguments(ARG "" "SOURCE" "DEFINES" ${ARGN})
  set(out ${PROJECT_BINARY_DIR}/generated/shaders/${name})
  list(TRANSFORM ARG_DEFINES PREPEND -D)
  add_custom_command(
    OUTPUT ${out}.inc
    COMMAND ${GLSLC} --target-env=vulkan1.2 -O0 -Werror -I ${CMAKE_CURRENT_SOURCE_DIR}/include ${ARG_DEFINES}
            -MD -MF ${out}.d -MT ${out}.inc -o ${out}.spv ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SOURCE}
    COMMAND ${SPIRV_VAL} --target-env vulkan1.2 ${out}.spv
    COMMAND ${CMAKE_COMMAND} -DINPUT=${out}.spv -DOUTPUT=${out}.inc -P ${PROJECT_SOURCE_DIR}/cmake/embed_words.cmake
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SOURCE} ${PROJECT_SOURCE_DIR}/cmake/embed_words.cmake
    DEPFILE ${out}.d
    COMMENT "Kernel ${name}"
    VERBATIM)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/generated/shaders)
  set_property(DIRECTORY APPEND PROPERTY FALLOW_SHADERS ${name})
endfunction()

function(fallow_shader_table file)
  get_property(names DIRECTORY PROPERTY FALLOW_SHADERS)
  set(arrays "")
  set(rows "")
  set(words "")
  foreach(name ${names})
    string(APPEND arrays "constexpr std::uint32_t k_${name}[] = {\n#include \"generated/shaders/${name}.inc\"\n};\n")
    string(APPEND rows "    {\"${name}\", k_${name}},\n")
    list(APPEND words ${PROJECT_BINARY_DIR}/generated/shaders/${name}.inc)
  endforeach()
  file(CONFIGURE OUTPUT ${file} @ONLY CONTENT [[
#include "shaders/kernels.h"

namespace fallow::shaders {
namespace {
@arrays@
constexpr Kernel kKernels[] = {
@rows@};
}  // namespace

std::span<const Kernel> AllKernels() { return kKernels; }

}  // namespace fallow::shaders
]])
  set_source_files_properties(${file} PROPERTIES OBJECT_DEPENDS "${words}")
endfunction()

# fallow_wayland_protocol(NAME DESCRIPTION.xml) makes the static library fallow_NAME of a Wayland protocol, with
# generated/wayland/NAME_client.h for its users and NAME_server.h for tests that play a compositor.
find_program(WAYLAND_SCANNER wayland-scanner REQUIRED)
function(fallow_wayland_protocol name description)
  set(out ${PROJECT_BINARY_DIR}/generated/wayland/${name})
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/generated/wayland)
  add_custom_command(
    OUTPUT ${out}.c ${out}_client.h ${out}_server.h
    COMMAND ${WAYLAND_SCANNER} private-code ${description} ${out}.c
    COMMAND ${WAYLAND_SCANNER} client-header ${description} ${out}_client.h
    COMMAND ${WAYLAND_SCANNER} server-header ${description} ${out}_server.h
    DEPENDS ${description}
    VERBATIM)
  add_library(fallow_${name} STATIC ${out}.c ${out}_client.h ${out}_server.h)
  target_link_libraries(fallow_${name} PUBLIC PkgConfig::WAYLAND)
endfunction()
