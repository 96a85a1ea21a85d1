# SPDX-License-Identifier: Apache-2.0
# What is installed, in three components, and the Debian packages made of them (cpack):
#   runtime      libsyncline0     the shared library
#   development  libsyncline-dev  header, static library, pkg-config file, CMake package, pages of
#                                 the manual, examples
#   tools        syncline-tools   the command, its pages of the manual, completion in bash and zsh

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# ---- Targets ------------------------------------------------------------------------------------

foreach(target syncline syncline_static)
  target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
# Who links the static library needs its parts, too; package.config.in finds them.
foreach(part ${SL_PARTS})
  target_link_libraries(syncline_static
    INTERFACE $<INSTALL_INTERFACE:$<LINK_ONLY:PkgConfig::${part}>>)
endforeach()
target_link_libraries(syncline_static INTERFACE $<INSTALL_INTERFACE:$<LINK_ONLY:Threads::Threads>>)
# Outside the system's own prefix, the command finds the library that was installed with it.
if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set_target_properties(syncline_cli PROPERTIES
    INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
endif()

install(TARGETS syncline EXPORT syncline
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
  NAMELINK_COMPONENT development)
install(TARGETS syncline_static EXPORT syncline_static
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(TARGETS syncline_cli
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)

# ---- What others build with ---------------------------------------------------------------------

install(FILES ${CMAKE_SOURCE_DIR}/include/syncline.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

# Made when it is installed: only then is the prefix known (cmake --install FOLDER --prefix PREFIX).
list(JOIN SL_PARTS " " parts)
install(CODE "
  set(CMAKE_INSTALL_LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
  set(CMAKE_INSTALL_INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
  set(PROJECT_VERSION \"${PROJECT_VERSION}\")
  set(SL_PARTS \"${parts}\")
  configure_file(\"${CMAKE_SOURCE_DIR}/packaging/syncline.pc.in\"
    \"${CMAKE_BINARY_DIR}/syncline.pc\" @ONLY)" COMPONENT development)
install(FILES ${CMAKE_BINARY_DIR}/syncline.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

set(folder ${CMAKE_INSTALL_LIBDIR}/cmake/syncline)
configure_package_config_file(packaging/package.config.in syncline-config.cmake
  INSTALL_DESTINATION ${folder} NO_SET_AND_CHECK_MACRO)
# Until 1.0 a new minor version may take a call away.
write_basic_package_version_file(syncline-config-version.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT syncline NAMESPACE syncline:: FILE syncline-shared.cmake
  DESTINATION ${folder} COMPONENT development)
install(EXPORT syncline_static NAMESPACE syncline:: FILE syncline-static.cmake
  DESTINATION ${folder} COMPONENT development)
install(FILES ${CMAKE_BINARY_DIR}/syncline-config.cmake
  ${CMAKE_BINARY_DIR}/syncline-config-version.cmake
  DESTINATION ${folder} COMPONENT development)

# ---- Pages and completion -----------------------------------------------------------------------

# All made from what the command says of itself and from the public header, so that they cannot
# fall behind. A sanitizer's build has other things to do.
set(manual ${CMAKE_BINARY_DIR}/manual)
if(NOT SL_SANITIZE AND NOT SL_FUZZ AND NOT CMAKE_CROSSCOMPILING)
  add_custom_command(OUTPUT ${manual}/made
    COMMAND ${CMAKE_SOURCE_DIR}/packaging/manual.sh $<TARGET_FILE:syncline_cli>
      ${PROJECT_VERSION} ${manual}
    DEPENDS syncline_cli packaging/manual.sh packaging/command_table.sh packaging/completion.sh
      packaging/header.awk man/syncline.1.in man/syncline.3.in man/syncline.conf.5.in include/syncline.h
    VERBATIM)
  add_custom_target(manual ALL DEPENDS ${manual}/made)
endif()
install(DIRECTORY ${manual}/man1 ${manual}/man5
  DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT tools)
install(DIRECTORY ${manual}/man3
  DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT development)
install(FILES ${manual}/bash/syncline
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT tools)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr" AND EXISTS /etc/debian_version)
  set(zsh_folder vendor-completions)
else()
  set(zsh_folder site-functions)
endif()
install(FILES ${manual}/zsh/_syncline
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_folder} COMPONENT tools)

# ---- Debian packages ----------------------------------------------------------------------------

set(packages libsyncline0 libsyncline-dev syncline-tools)
set(components runtime development tools)
foreach(component package IN ZIP_LISTS components packages)
  install(FILES LICENSE RENAME copyright
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
  string(TOUPPER ${component} COMPONENT)
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_NAME ${package})
  set(CPACK_DEBIAN_${COMPONENT}_FILE_NAME DEB-DEFAULT)
endforeach()
install(DIRECTORY examples
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libsyncline-dev COMPONENT development)
install(FILES docs/ADD_A_MODEL.md
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libsyncline-dev COMPONENT development)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME syncline)
set(CPACK_PACKAGE_VENDOR "Syncline")
set(CPACK_PACKAGE_CONTACT "The Syncline authors <maintainers@syncline.invalid>")
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON)
set(CPACK_COMPONENTS_ALL ${components})
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# Of a description the first line is the summary; an empty one stays one.
set(about "Syncline runs inside an application's process and keeps its SQLite library
the same on all of a person's devices, without a server. An application makes
one call for the rows it writes, in the transaction that writes them.")
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "keeps an application's SQLite library equal on all devices
${about}

This package holds the shared library.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")

set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "keeps an application's SQLite library equal (development files)
${about}

This package holds what programs are built with: the header, the static
library, a pkg-config file, a CMake package, pages of the manual, and examples.")
set(CPACK_COMPONENT_DEVELOPMENT_DEPENDS runtime)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
# The packages of SL_PARTS: pkg-config reads the files of all of them, for shared linking, too. And
# one that the static linking of SQLite asks for, which its own package does not bring.
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libck-dev, libsqlite3-dev, liblmdb-dev, uuid-dev, \
libmsgpack-dev, libzstd-dev, libuv1-dev, libssl-dev, libjansson-dev, libinih-dev, zlib1g-dev")

set(CPACK_DEBIAN_TOOLS_DESCRIPTION "one library of files and tags, equal on all of your devices
${about}

This package holds the command syncline, which indexes folders into such a
library, its pages of the manual, and its completion in bash and zsh.")
set(CPACK_COMPONENT_TOOLS_DEPENDS runtime)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
include(CPack)
