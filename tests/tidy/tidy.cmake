# Tests of the repository itself, one ctest a class of tidy_test.py, of perf/load and of perf/soak's
# judgement, which other tests and figures rely on, and of perf/heal and perf/hub with a few streams.
foreach(check Layering Size Format Planted Flags Scripts)
  string(TOLOWER ${check} name)
  add_test(NAME tidy.${name}
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/tidy/tidy_test.py ${check})
  set_tests_properties(tidy.${name} PROPERTIES LABELS tidy TIMEOUT 120)
endforeach()
if(TARGET sluice)
  set_tests_properties(tidy.flags PROPERTIES
    ENVIRONMENT "SLUICE_BIN=$<TARGET_FILE:sluice>")
endif()
add_test(NAME perf.soak COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/perf/soak_test.py Judged Faults Recovered)
set_tests_properties(perf.soak PROPERTIES LABELS perf TIMEOUT 120)
if(TARGET perf_load)
  add_test(NAME perf.load
    COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/perf/load_test.py
      $<TARGET_FILE:perf_origin> $<TARGET_FILE:perf_load>)
  set_tests_properties(perf.load PROPERTIES LABELS perf TIMEOUT 120)
endif()
if(TARGET perf_fanout AND TARGET sluice)
  add_test(NAME perf.hub COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/perf/hub_test.py)
  set_tests_properties(perf.hub PROPERTIES LABELS perf TIMEOUT 120
    ENVIRONMENT "SLUICE_BUILD=${CMAKE_BINARY_DIR}")
endif()
if(TARGET perf_load AND TARGET sluice)
  add_test(NAME perf.heal COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/perf/heal_test.py)
  set_tests_properties(perf.heal PROPERTIES LABELS perf TIMEOUT 300
    ENVIRONMENT "SLUICE_BUILD=${CMAKE_BINARY_DIR}")
endif()
