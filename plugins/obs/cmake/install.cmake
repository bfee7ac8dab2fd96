# SPDX-FileCopyrightText: LLIA contributors
# SPDX-License-Identifier: GPL-2.0-or-later
# Where OBS looks. Two ways: for the whole system (packages), and for one user:
#   cmake --install BUILD --component user --prefix ~/.config/obs-studio/plugins
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
