# The libraries of the toolchain as targets dumpwright::NAME, in every preset.
# With a toolchain file of this folder they come from its prefix, otherwise from
# the host's (toolchain/build --triple host), which has no mimalloc: ask
# "if(TARGET dumpwright::mimalloc)".

if(NOT DUMPWRIGHT_TRIPLE)
  set(DUMPWRIGHT_TRIPLE host)
  include(${CMAKE_CURRENT_LIST_DIR}/prefix.cmake)
  dumpwright_prefix(host DUMPWRIGHT_PREFIX)
endif()

# Ninja runs CMake again when one of these changes or is gone; that builds the prefix anew.
file(GLOB dumpwright_toolchain_inputs
  ${CMAKE_CURRENT_LIST_DIR}/../build ${CMAKE_CURRENT_LIST_DIR}/../sources.lock
  ${CMAKE_CURRENT_LIST_DIR}/../lib/*.sh ${CMAKE_CURRENT_LIST_DIR}/../recipes/*.sh
  ${CMAKE_CURRENT_LIST_DIR}/../triples/${DUMPWRIGHT_TRIPLE}.sh ${CMAKE_CURRENT_LIST_DIR}/../musl/*)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${dumpwright_toolchain_inputs} ${DUMPWRIGHT_PREFIX}/sources)

# A target NAME for lib/ARCHIVE, if this prefix has it.
function(dumpwright_library name archive)
  if(NOT EXISTS ${DUMPWRIGHT_PREFIX}/lib/${archive})
    return()
  endif()
  add_library(dumpwright::${name} STATIC IMPORTED)
  set_target_properties(dumpwright::${name} PROPERTIES IMPORTED_LOCATION ${DUMPWRIGHT_PREFIX}/lib/${archive})
  dumpwright_headers(${name})
endfunction()

# The musl compiler searches the prefix by itself, and must not be told again: its
# C headers have to come after the C++ ones, which include them with include_next.
function(dumpwright_headers name)
  if(DUMPWRIGHT_TRIPLE STREQUAL host)
    target_include_directories(dumpwright::${name} SYSTEM INTERFACE ${DUMPWRIGHT_PREFIX}/include)
  endif()
endfunction()

dumpwright_library(zstd libzstd.a)
dumpwright_library(lz4 liblz4.a)
dumpwright_library(libdeflate libdeflate.a)
dumpwright_library(xxhash libxxhash.a)
dumpwright_library(nfs libnfs.a)
dumpwright_library(gpg_error libgpg-error.a)
dumpwright_library(gcrypt libgcrypt.a)
dumpwright_library(ssh libssh.a)

add_library(dumpwright::doctest INTERFACE IMPORTED)
dumpwright_headers(doctest)

target_link_libraries(dumpwright::gcrypt INTERFACE dumpwright::gpg_error)
target_link_libraries(dumpwright::ssh INTERFACE dumpwright::gcrypt)
target_compile_definitions(dumpwright::ssh INTERFACE LIBSSH_STATIC)

# All of mimalloc, asked for or not: an archive would be searched after something
# has pulled in musl's malloc.
if(EXISTS ${DUMPWRIGHT_PREFIX}/lib/libmimalloc.a)
  add_library(dumpwright::mimalloc INTERFACE IMPORTED)
  target_link_libraries(dumpwright::mimalloc INTERFACE
    -Wl,--whole-archive,${DUMPWRIGHT_PREFIX}/lib/libmimalloc.a,--no-whole-archive)
endif()
