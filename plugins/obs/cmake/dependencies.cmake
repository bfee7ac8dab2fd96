# SPDX-FileCopyrightText: LLIA contributors
# SPDX-License-Identifier: GPL-2.0-or-later
# Windows and macOS have no package of libobs: fetches what buildspec.json names into .deps and builds libobs there, once.
# On Linux the distribution's packages are used.
include_guard(GLOBAL)

set(DEPENDENCIES_DIR "${CMAKE_CURRENT_SOURCE_DIR}/.deps" CACHE PATH "Fetched dependencies of Windows and macOS")

# Downloads and unpacks an archive; its hash is checked before anything of it is used.
function(fetch_archive name url hash folder)
  cmake_path(GET url FILENAME file)
  set(archive "${DEPENDENCIES_DIR}/${file}")
  set(stamp "${DEPENDENCIES_DIR}/.${name}.sha256")
  if(EXISTS "${stamp}")
    file(READ "${stamp}" fetched)
    if(fetched STREQUAL hash)
      return()
    endif()
  endif()
  message(STATUS "Fetching ${url}")
  file(DOWNLOAD "${url}" "${archive}" EXPECTED_HASH SHA256=${hash} STATUS status)
  list(GET status 0 code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${url} cannot be fetched: ${status}")
  endif()
  file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${folder}")
  file(WRITE "${stamp}" "${hash}")
endfunction()

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
endfunction()

function(fetch_libobs)
  foreach(name IN ITEMS obs-studio prebuilt)
    foreach(key IN ITEMS version baseUrl)
      string(JSON ${name}_${key} GET "${BUILDSPEC}" dependencies ${name} ${key})
    endforeach()
  endforeach()
  if(WIN32)
    set(platform windows-x64)
    set(prebuilt_file "windows-deps-${prebuilt_version}-x64.zip")
    set(obs_file "${obs-studio_version}.zip")
    set(platform_options -G "${CMAKE_GENERATOR}" -A x64)
  else()
    set(platform macos)
    set(prebuilt_file "macos-deps-${prebuilt_version}-universal.tar.xz")
    set(obs_file "${obs-studio_version}.tar.gz")
    # In a file: on a command line the semicolon would end the argument.
    set(architectures "${DEPENDENCIES_DIR}/architectures.cmake")
    file(WRITE "${architectures}" "set(CMAKE_OSX_ARCHITECTURES arm64 x86_64 CACHE STRING \"\")\n")
    set(platform_options -G Xcode -C "${architectures}" "-DCMAKE_OSX_DEPLOYMENT_TARGET=${CMAKE_OSX_DEPLOYMENT_TARGET}")
  endif()
  string(JSON prebuilt_hash GET "${BUILDSPEC}" dependencies prebuilt hashes ${platform})
  string(JSON obs_hash GET "${BUILDSPEC}" dependencies obs-studio hashes ${platform})
  set(prebuilt "${DEPENDENCIES_DIR}/obs-deps-${prebuilt_version}")
  set(obs "${DEPENDENCIES_DIR}/obs-studio-${obs-studio_version}")
  fetch_archive(prebuilt "${prebuilt_baseUrl}/${prebuilt_version}/${prebuilt_file}" ${prebuilt_hash} "${prebuilt}")
  fetch_archive(obs-studio "${obs-studio_baseUrl}/${obs_file}" ${obs_hash} "${DEPENDENCIES_DIR}")

  set(installed "${DEPENDENCIES_DIR}/libobs-${obs-studio_version}")
  if(NOT EXISTS "${installed}/.complete")
    message(STATUS "Building libobs ${obs-studio_version}")
    run("${CMAKE_COMMAND}" -S "${obs}" -B "${obs}/build" ${platform_options} -DOBS_CMAKE_VERSION=3.0.0
        -DENABLE_PLUGINS=OFF -DENABLE_FRONTEND=OFF -DENABLE_SCRIPTING=OFF -DOBS_VERSION_OVERRIDE=${obs-studio_version}
        "-DCMAKE_PREFIX_PATH=${prebuilt}"
    )
    # Its development files name the frontend's interface, too.
    run("${CMAKE_COMMAND}" --build "${obs}/build" --target obs-frontend-api --config Release --parallel)
    run("${CMAKE_COMMAND}" --install "${obs}/build" --component Development --config Release --prefix "${installed}")
    file(TOUCH "${installed}/.complete")
  endif()
  list(PREPEND CMAKE_PREFIX_PATH "${installed}" "${prebuilt}")
  list(PREPEND CMAKE_FRAMEWORK_PATH "${installed}/Frameworks")
  set(CMAKE_PREFIX_PATH "${CMAKE_PREFIX_PATH}" PARENT_SCOPE)
  set(CMAKE_FRAMEWORK_PATH "${CMAKE_FRAMEWORK_PATH}" PARENT_SCOPE)
endfunction()

if(WIN32 OR APPLE)
  fetch_libobs()
endif()
