# The simulation: the product's own objects on a fake kernel, in place of sluice_kernel.
add_library(sluice_sim STATIC sim/body_check.cc sim/checked_gateway.cc sim/client.cc sim/coded.cc sim/counters.cc sim/dialects.cc sim/event_client.cc
            sim/failover.cc sim/failover_judge.cc sim/failover_peers.cc sim/healing.cc sim/healing_peers.cc sim/http.cc sim/http2_answer.cc sim/http2_client.cc sim/http2_client_answers.cc sim/http2_fields.cc sim/hub.cc sim/hub_disk.cc sim/hub_group.cc sim/hub_judge.cc sim/hub_member.cc sim/hub_publisher.cc sim/hub_reader.cc sim/hub_scene.cc sim/hub_subscriber.cc sim/hub_workers.cc sim/judge.cc sim/kernel.cc sim/kernel_attempts.cc sim/kernel_state.cc sim/names.cc sim/network.cc
            sim/reload.cc sim/script.cc sim/seam.cc sim/simulation.cc sim/upstream.cc sim/weather.cc sim/world.cc)
target_link_libraries(sluice_sim PUBLIC sluice_gateway PRIVATE nghttp2 zlib zstd OpenSSL::Crypto)
if(SLUICE_UNITY)  # in groups that share no names of their own
  set_target_properties(sluice_sim PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  set_source_files_properties(sim/failover.cc sim/failover_judge.cc sim/failover_peers.cc PROPERTIES UNITY_GROUP failover)
  set_source_files_properties(sim/healing.cc sim/healing_peers.cc sim/upstream.cc PROPERTIES UNITY_GROUP healing)
  set_source_files_properties(sim/http2_answer.cc sim/http2_client.cc sim/http2_client_answers.cc sim/http2_fields.cc PROPERTIES UNITY_GROUP http2)
  set_source_files_properties(sim/event_client.cc sim/hub.cc sim/hub_disk.cc sim/hub_group.cc sim/hub_judge.cc sim/hub_member.cc
                              sim/hub_publisher.cc sim/hub_reader.cc sim/hub_scene.cc sim/hub_subscriber.cc sim/hub_workers.cc PROPERTIES UNITY_GROUP hub)
  set_source_files_properties(
    sim/body_check.cc sim/checked_gateway.cc sim/client.cc sim/counters.cc sim/http.cc sim/judge.cc sim/kernel.cc
    sim/kernel_attempts.cc sim/kernel_state.cc sim/names.cc sim/network.cc sim/script.cc sim/seam.cc sim/simulation.cc
    sim/weather.cc sim/world.cc PROPERTIES UNITY_GROUP world)
endif()
add_executable(sim sim/main.cc)
target_link_libraries(sim PRIVATE sluice_sim)

# Thousands of seeds, in parts that ctest runs side by side; fewer where a sanitizer slows them down.
if(SLUICE_SANITIZE)
  set(SIM_SEEDS 16)
elseif(SLUICE_TEST_ALL)
  set(SIM_SEEDS 1000)
else()
  set(SIM_SEEDS 600)  # the rarest planted bug takes 13,998, all others 6,743
endif()
# The planted bugs of the other modes are found within 763.
math(EXPR SIM_MODE_SEEDS "${SIM_SEEDS} / 4")
foreach(part RANGE 0 7)
  math(EXPR first "${part} * ${SIM_SEEDS} + 1")
  add_test(NAME sim.${part} COMMAND sim --seed ${first} --seeds ${SIM_SEEDS})
  math(EXPR first "${part} * ${SIM_MODE_SEEDS} + 1")
  foreach(mode dialects healing failover http2 hub probed reload)
    add_test(NAME sim.${mode}.${part} COMMAND sim --${mode} --seed ${first} --seeds ${SIM_MODE_SEEDS})
  endforeach()
  set_tests_properties(sim.${part} sim.dialects.${part} sim.healing.${part} sim.failover.${part} sim.http2.${part} sim.hub.${part}
                       sim.probed.${part} sim.reload.${part}
                       PROPERTIES LABELS sim TIMEOUT 300)
endforeach()
# A thousand subscribers for ten minutes of virtual time.
if(SLUICE_TEST_ALL AND NOT SLUICE_SANITIZE)
  add_test(NAME sim.hub-resume COMMAND sim --hub-resume)
  set_tests_properties(sim.hub-resume PROPERTIES LABELS sim TIMEOUT 1800)
endif()
