# What the toolchain files of all musl triples share. They set DUMPWRIGHT_TRIPLE.

# CMake's small test projects read this file too; they get the prefix handed down.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES DUMPWRIGHT_PREFIX)
if(NOT DUMPWRIGHT_PREFIX)
  include(${CMAKE_CURRENT_LIST_DIR}/prefix.cmake)
  dumpwright_prefix(${DUMPWRIGHT_TRIPLE} DUMPWRIGHT_PREFIX)
endif()

string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR ${DUMPWRIGHT_TRIPLE})
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${DUMPWRIGHT_PREFIX}/bin/${DUMPWRIGHT_TRIPLE}-gcc)
set(CMAKE_CXX_COMPILER ${DUMPWRIGHT_PREFIX}/bin/${DUMPWRIGHT_TRIPLE}-g++)
foreach(tool AR RANLIB NM)
  string(TOLOWER ${tool} name)
  set(CMAKE_${tool} ${DUMPWRIGHT_PREFIX}/bin/${DUMPWRIGHT_TRIPLE}-gcc-${name})
endforeach()
set(CMAKE_STRIP ${DUMPWRIGHT_PREFIX}/bin/${DUMPWRIGHT_TRIPLE}-strip)
set(CMAKE_OBJCOPY ${DUMPWRIGHT_PREFIX}/bin/${DUMPWRIGHT_TRIPLE}-objcopy)

set(CMAKE_FIND_ROOT_PATH ${DUMPWRIGHT_PREFIX})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# The folders of source and build stay out of the executable. gcc tries the last
# map first, and the build folder often lies inside the source folder.
set(compile_flags "-fPIE -ffunction-sections -fdata-sections")
string(APPEND compile_flags " -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=build")
set(CMAKE_C_FLAGS_INIT "${compile_flags}")
set(CMAKE_CXX_FLAGS_INIT "${compile_flags}")

# musl gives a thread 128 KiB of stack unless the executable asks for more.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static-pie -Wl,--gc-sections -Wl,-z,stack-size=0x200000")

# CMake keeps the compiler it first found, so a build folder cannot change over. Last
# in this file: with the compiler unset, CMake would complain about that as well.
if(DUMPWRIGHT_CONFIGURED_PREFIX AND NOT DUMPWRIGHT_CONFIGURED_PREFIX STREQUAL DUMPWRIGHT_PREFIX)
  message(FATAL_ERROR "The toolchain has changed since ${CMAKE_BINARY_DIR} was configured:\n"
    "  then ${DUMPWRIGHT_CONFIGURED_PREFIX}\n"
    "  now  ${DUMPWRIGHT_PREFIX}\n"
    "Configure again with: cmake --fresh --preset PRESET")
endif()
set(DUMPWRIGHT_CONFIGURED_PREFIX "${DUMPWRIGHT_PREFIX}" CACHE INTERNAL "The toolchain this folder uses")
