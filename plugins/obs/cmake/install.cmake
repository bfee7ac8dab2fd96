# SPDX-FileCopyrightText: LLIA contributors
# SPDX-License-Identifier: GPL-2.0-or-later
# Where OBS looks. Linux has two ways: for the whole system (component "system", packages), and for one user:
#   cmake --install BUILD --component user --prefix ~/.config/obs-studio/plugins
# Windows and macOS have one each, in the form that packaging/ zips.
if(APPLE)
  string(JSON bundle_id GET "${BUILDSPEC}" platformConfig macos bundleId)
  set_target_properties(
    ${PROJECT_NAME}
    PROPERTIES
      BUNDLE TRUE
      BUNDLE_EXTENSION plugin
      XCODE_ATTRIBUTE_PRODUCT_BUNDLE_IDENTIFIER ${bundle_id}
      XCODE_ATTRIBUTE_MARKETING_VERSION ${PROJECT_VERSION}
      XCODE_ATTRIBUTE_GENERATE_INFOPLIST_FILE YES
      XCODE_ATTRIBUTE_CODE_SIGN_IDENTITY "$<IF:$<STREQUAL:${CODESIGN_IDENTITY},>,-,${CODESIGN_IDENTITY}>"
      XCODE_ATTRIBUTE_DEVELOPMENT_TEAM "${CODESIGN_TEAM}"
  )
  file(GLOB locales RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}/data/locale" data/locale/*.ini)
  foreach(locale IN LISTS locales)
    target_sources(${PROJECT_NAME} PRIVATE "data/locale/${locale}")
    set_source_files_properties("data/locale/${locale}" PROPERTIES MACOSX_PACKAGE_LOCATION Resources/locale)
  endforeach()
  install(TARGETS ${PROJECT_NAME} LIBRARY DESTINATION . COMPONENT user)
elseif(WIN32)
  install(TARGETS ${PROJECT_NAME} LIBRARY DESTINATION ${PROJECT_NAME}/bin/64bit COMPONENT user)
  install(DIRECTORY data/ DESTINATION ${PROJECT_NAME}/data COMPONENT user)
else()
  include(GNUInstallDirs)
  install(
    TARGETS ${PROJECT_NAME}
    LIBRARY DESTINATION ${PROJECT_NAME}/bin/64bit
    COMPONENT user
    EXCLUDE_FROM_ALL
  )
  install(DIRECTORY data/ DESTINATION ${PROJECT_NAME}/data COMPONENT user EXCLUDE_FROM_ALL)
  install(TARGETS ${PROJECT_NAME} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/obs-plugins COMPONENT system)
  install(DIRECTORY data/ DESTINATION ${CMAKE_INSTALL_DATADIR}/obs/obs-plugins/${PROJECT_NAME} COMPONENT system)
endif()
