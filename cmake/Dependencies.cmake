# Every dependency comes from a Debian package. What is missing is named with its package,
# so that a failed configure says what to install (scripts/setup installs all of it).

function(sluice_need found package what)
  if(NOT ${found})
    message(FATAL_ERROR "${what} was not found: install Debian's package ${package} "
                        "(scripts/setup installs everything that sluice needs).")
  endif()
endfunction()

find_package(Threads REQUIRED)

# sluice_find_library(target library header package name): a library without a CMake package of its own.
function(sluice_find_library target library header package name)
  find_path(${target}_INCLUDE_DIR ${header})
  find_library(${target}_LIBRARY NAMES ${library})
  set(found OFF)
  if(${target}_INCLUDE_DIR AND ${target}_LIBRARY)
    set(found ON)
  endif()
  sluice_need(found ${package} ${name})
  add_library(${target} INTERFACE)
  target_include_directories(${target} SYSTEM INTERFACE ${${target}_INCLUDE_DIR})
  target_link_libraries(${target} INTERFACE ${${target}_LIBRARY})
endfunction()

sluice_find_library(liburing uring liburing.h liburing-dev "liburing")

sluice_find_library(cares cares ares.h libc-ares-dev "c-ares")

find_package(OpenSSL 3.0 QUIET)
sluice_need(OPENSSL_FOUND libssl-dev "OpenSSL 3")

sluice_find_library(nghttp2 nghttp2 nghttp2/nghttp2.h libnghttp2-dev "nghttp2")

sluice_find_library(zlib z zlib.h zlib1g-dev "zlib")

sluice_find_library(zstd zstd zstd.h libzstd-dev "Zstandard")

sluice_find_library(brotlienc brotlienc brotli/encode.h libbrotli-dev "Brotli")
add_library(brotlidec INTERFACE)  # of the same package
target_link_libraries(brotlidec INTERFACE -lbrotlidec)

find_package(simdjson QUIET)
sluice_need(simdjson_FOUND libsimdjson-dev "simdjson")

sluice_find_library(re2 re2 re2/re2.h libre2-dev "RE2")

sluice_find_library(luajit luajit-5.1 luajit-2.1/lua.hpp libluajit-5.1-dev "LuaJIT")
sluice_find_library(sqlite sqlite3 sqlite3.h libsqlite3-dev "SQLite 3")

# llhttp: a library where there is a package for it (Debian 13), else the C sources that
# Debian 12 ships in node-llhttp, built here. STRICT_MODE is 8.x's switch; 9.x is always strict.
find_path(LLHTTP_INCLUDE_DIR llhttp.h PATHS /usr/include /usr/share/include/llhttp)
find_library(LLHTTP_LIBRARY NAMES llhttp)
find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
if(LLHTTP_INCLUDE_DIR AND (LLHTTP_LIBRARY OR LLHTTP_SOURCE_DIR))
  set(LLHTTP_FOUND ON)
endif()
sluice_need(LLHTTP_FOUND "libllhttp-dev (Debian 13) or node-llhttp (Debian 12)" "llhttp")
if(LLHTTP_LIBRARY)
  add_library(llhttp INTERFACE)
  target_link_libraries(llhttp INTERFACE ${LLHTTP_LIBRARY})
  target_include_directories(llhttp SYSTEM INTERFACE ${LLHTTP_INCLUDE_DIR})
else()
  add_library(llhttp STATIC ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c
              ${LLHTTP_SOURCE_DIR}/llhttp.c)
  target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
  target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
  target_compile_options(llhttp PRIVATE -O2 -w)
endif()

find_package(mimalloc QUIET)
sluice_need(mimalloc_FOUND libmimalloc-dev "mimalloc")
find_package(CLI11 QUIET)
sluice_need(CLI11_FOUND libcli11-dev "CLI11")
find_package(tomlplusplus QUIET)
sluice_need(tomlplusplus_FOUND libtomlplusplus-dev "toml++")
if(SLUICE_TESTS)
  find_package(GTest QUIET)
  sluice_need(GTest_FOUND libgtest-dev "GoogleTest")
endif()
if(SLUICE_PERF)
  find_package(benchmark QUIET)
  sluice_need(benchmark_FOUND libbenchmark-dev "Google Benchmark")
endif()
