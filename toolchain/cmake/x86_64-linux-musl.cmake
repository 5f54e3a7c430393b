# cmake --toolchain toolchain/cmake/x86_64-linux-musl.cmake: a static executable on musl.
set(DUMPWRIGHT_TRIPLE x86_64-linux-musl)
include(${CMAKE_CURRENT_LIST_DIR}/musl.cmake)
