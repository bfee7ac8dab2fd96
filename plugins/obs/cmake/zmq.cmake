# SPDX-FileCopyrightText: LLIA contributors
# SPDX-License-Identifier: GPL-2.0-or-later
# Targets llia-zmq and llia-threads: the system's where it has them, else built or taken from OBS's dependencies.
add_library(llia-zmq INTERFACE)
if(ENABLE_BUNDLED_ZMQ)
  include(FetchContent)
  foreach(key IN ITEMS version baseUrl hash)
    string(JSON zeromq_${key} GET "${BUILDSPEC}" dependencies zeromq ${key})
  endforeach()
  set(BUILD_SHARED OFF CACHE BOOL "" FORCE)
  set(BUILD_TESTS OFF CACHE BOOL "" FORCE)
  set(ENABLE_CPACK OFF CACHE BOOL "" FORCE)
  set(WITH_PERF_TOOL OFF CACHE BOOL "" FORCE)
  set(WITH_LIBSODIUM OFF CACHE BOOL "" FORCE)
  enable_language(CXX)
  FetchContent_Declare(
    zeromq
    URL "${zeromq_baseUrl}/v${zeromq_version}/zeromq-${zeromq_version}.tar.gz"
    URL_HASH SHA256=${zeromq_hash}
    DOWNLOAD_EXTRACT_TIMESTAMP OFF
    EXCLUDE_FROM_ALL
  )
  FetchContent_MakeAvailable(zeromq)
  target_link_libraries(llia-zmq INTERFACE libzmq-static)
else()
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq>=4.3)
  target_link_libraries(llia-zmq INTERFACE PkgConfig::ZMQ)
endif()

add_library(llia-threads INTERFACE)
if(WIN32) # OBS brings them
  find_package(w32-pthreads REQUIRED)
  target_link_libraries(llia-threads INTERFACE OBS::w32-pthreads)
else()
  find_package(Threads REQUIRED)
  target_link_libraries(llia-threads INTERFACE Threads::Threads)
endif()
