# End-to-end tests: the real process between scripted peers. One ctest a file, named e2e.<file>; a
# smoke set again with each io_uring feature forced off, named e2e.<file>.without-<feature>. With
# SLUICE_TEST_ALL every file runs that way. The label e2e-release: of a sanitized build they say less,
# or no more than others do.
option(SLUICE_TEST_ALL "Run all end-to-end tests with each io_uring feature forced off, not only a smoke set" OFF)

if(NOT TARGET sluice)
  return()
endif()

set(E2E_FEATURES defer-taskrun single-issuer registered-ring-fd multishot-accept multishot-recv
  recv-budget min-wait fixed-buffers huge-pages)
set(E2E_SMOKE prompt_forwarding large_events client_disconnect keep_alive big_bodies)

# These again with TLS on both sides, named e2e.<file>.tls.
set(E2E_TLS prompt_forwarding truncated_upstream slow_reader large_events client_disconnect keep_alive big_bodies
  heartbeat order_and_content healing drain write_timeout)

# Of these some with lean records, too, named e2e.<file>.tls-lean; and tests of TLS, e2e.<file>.lean.
set(E2E_TLS_LEAN prompt_forwarding slow_reader big_bodies truncated_upstream)
set(E2E_LEAN tls http2_tls tls_clients)

# What measures time or memory does not share the machine with another test.
set(E2E_ALONE slow_reader browser interim_flood fault_bottleneck tls_records)

# These take long, and are begun first.
set(E2E_LONG fault_upstream_stopped latency_budget paced_reads names healing)

# sluice_e2e_test(file [suffix feature,...]): the test of that file, with these features forced off;
# where the suffix is "tls", over TLS, where it is "lean", with lean records, and "tls-lean" is both.
function(sluice_e2e_test file)
  set(name e2e.${file})
  set(label e2e)
  if(file IN_LIST E2E_ALONE)
    set(label "e2e;e2e-release")
  endif()
  set(environment SLUICE_BIN=$<TARGET_FILE:sluice> PYTHONDONTWRITEBYTECODE=1)
  if(ARGC GREATER 1)
    string(APPEND name .without-${ARGV1})
    if(ARGV1 MATCHES "^(tls|lean|tls-lean)$")
      set(name e2e.${file}.${ARGV1})
      set(label "e2e;e2e-release")
      if(ARGV1 MATCHES tls)
        list(APPEND environment SLUICE_TEST_TLS=1)
      endif()
      if(ARGV1 MATCHES lean)
        list(APPEND environment SLUICE_EXTRA_FLAGS=--tls-records=lean)
      endif()
    else()
      set(label "e2e-features;e2e-release")
      list(APPEND environment SLUICE_EXTRA_FLAGS=--uring-disable=${ARGV2})
    endif()
  endif()
  if(SLUICE_TEST_ALL)
    list(APPEND environment SLUICE_TEST_ALL=1)
  endif()
  add_test(NAME ${name}
    COMMAND /usr/bin/python3 -m pytest test_${file}.py
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/e2e)
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "${environment}" LABELS "${label}" TIMEOUT 300)
  if(file IN_LIST E2E_ALONE)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  elseif(file IN_LIST E2E_LONG)
    set_tests_properties(${name} PROPERTIES COST 100)
  endif()
endfunction()

file(GLOB E2E_SOURCES CONFIGURE_DEPENDS e2e/test_*.py)
foreach(source IN LISTS E2E_SOURCES)
  get_filename_component(file ${source} NAME_WE)
  string(REPLACE test_ "" file ${file})
  list(APPEND E2E_FILES ${file})
  sluice_e2e_test(${file})
endforeach()

foreach(file IN LISTS E2E_TLS)
  sluice_e2e_test(${file} tls)
endforeach()

foreach(file IN LISTS E2E_TLS_LEAN)
  sluice_e2e_test(${file} tls-lean)
endforeach()
foreach(file IN LISTS E2E_LEAN)
  sluice_e2e_test(${file} lean)
endforeach()

if(SLUICE_TEST_ALL)
  set(E2E_AGAIN ${E2E_FILES})
else()
  set(E2E_AGAIN ${E2E_SMOKE})
endif()
list(REMOVE_ITEM E2E_AGAIN fault_features_off fault_memlock)  # these choose among them themselves
string(REPLACE ";" "," E2E_EVERY_FEATURE "${E2E_FEATURES}")
foreach(file IN LISTS E2E_AGAIN)
  foreach(feature IN LISTS E2E_FEATURES)
    sluice_e2e_test(${file} ${feature} ${feature})
  endforeach()
  sluice_e2e_test(${file} any-feature ${E2E_EVERY_FEATURE})
endforeach()
