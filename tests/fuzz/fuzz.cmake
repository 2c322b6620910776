# Fuzzers. <name>_fuzz.cc is a target: LLVMFuzzerTestOneInput(). Everywhere it is built as
# <name>_replay, which runs the files of corpus/<name>: the ctest fuzz.<name>. With clang (preset
# fuzz) it is also built as <name>_fuzz, with libFuzzer, which scripts/fuzz runs.
if(SLUICE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "SLUICE_FUZZ needs clang: use the preset fuzz (Debian's package clang).")
  endif()

  # Coverage of what is under test guides the fuzzer.
  get_property(rooms GLOBAL PROPERTY SLUICE_ROOMS)
  foreach(library sluice_sim sluice_core sluice_pool sluice_sse ${rooms} llhttp)
    get_target_property(type ${library} TYPE)
    if(NOT type STREQUAL "INTERFACE_LIBRARY")
      target_compile_options(${library} PRIVATE -fsanitize=fuzzer-no-link)
    endif()
  endforeach()
endif()

add_library(sluice_replay OBJECT fuzz/replay.cc)
target_link_libraries(sluice_replay PRIVATE sluice_options GTest::gtest)

# sluice_fuzz_target(name library...)
function(sluice_fuzz_target name)
  add_executable(${name}_replay fuzz/${name}_fuzz.cc)
  target_link_libraries(${name}_replay PRIVATE sluice_replay ${ARGN} GTest::gtest)
  add_test(NAME fuzz.${name}
    COMMAND ${name}_replay ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name})
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 120)
  if(SLUICE_FUZZ)
    add_executable(${name}_fuzz fuzz/${name}_fuzz.cc fuzz/libfuzzer.cc)
    target_link_libraries(${name}_fuzz PRIVATE ${ARGN} GTest::gtest)
    target_compile_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()

sluice_fuzz_target(framer sluice_sse)
sluice_fuzz_target(fields sluice_sse)
sluice_fuzz_target(filter sluice_filter)
sluice_fuzz_target(script sluice_script sluice_http1 sluice_kernel)
sluice_fuzz_target(usage sluice_llm)
sluice_fuzz_target(hub sluice_hub sluice_http1 sluice_kernel)
sluice_fuzz_target(hub_reader sluice_hub sluice_kernel)
sluice_fuzz_target(dialect sluice_llm)
sluice_fuzz_target(unpack sluice_coding sluice_kernel)
sluice_fuzz_target(http1 sluice_gateway sluice_kernel)
sluice_fuzz_target(http1_chunked sluice_http1 llhttp)
# No name is resolved: config_fuzz.cc stands before getaddrinfo.
sluice_fuzz_target(config sluice_config sluice_http1 -Wl,--wrap=getaddrinfo)
sluice_fuzz_target(gateway sluice_sim)
sluice_fuzz_target(proxy sluice_transport sluice_kernel)
sluice_fuzz_target(tls sluice_tls sluice_kernel OpenSSL::SSL)
sluice_fuzz_target(lean sluice_tls sluice_kernel OpenSSL::SSL)
sluice_fuzz_target(http2 sluice_sim)
