// doctest's header compiles and runs with this compiler.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

TEST_CASE("a failed check would be seen") { CHECK(__cplusplus >= 202002L); }
