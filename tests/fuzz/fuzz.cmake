# libFuzzer targets, each built from <name>.cc: `cmake --preset fuzz`, build, and run one:
#   build/fuzz/tests/framer_fuzz -max_total_time=60
#   build/fuzz/tests/http1_fuzz -max_total_time=60 -dict=tests/fuzz/http1.dict CORPUS tests/fuzz/http1_seeds
# New inputs go to the folder CORPUS; the seeds' first two bytes are options and cuts (fuzz_input.h).
if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "SLUICE_FUZZ needs clang: use the preset fuzz (Debian's package clang).")
endif()

# Coverage of what is under test guides the fuzzer.
foreach(library sluice_core sluice_sse sluice_http1 llhttp)
  get_target_property(type ${library} TYPE)
  if(NOT type STREQUAL "INTERFACE_LIBRARY")
    target_compile_options(${library} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endforeach()

# sluice_fuzz_target(name library...)
function(sluice_fuzz_target name)
  add_executable(${name} fuzz/${name}.cc)
  target_link_libraries(${name} PRIVATE ${ARGN} GTest::gtest)
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()

sluice_fuzz_target(framer_fuzz sluice_sse)
sluice_fuzz_target(http1_fuzz sluice_http1)
