// Makes a vmcore of the given size for measurements; see synthetic_vmcore.h.
//
//   synthetic_vmcore GIB [--from VMCORE] [--copies N] OUT
#include <cstdlib>
#include <cstring>

#include "tests/bench/synthetic_vmcore.h"

int main(int argc, char** argv) {
  using namespace dw::bench;
  SyntheticVmcore spec;
  const char* from = nullptr;
  const char* out = nullptr;
  if (argc < 3) fail("usage: synthetic_vmcore GIB [--from VMCORE] [--copies N] OUT");
  spec.gib = std::strtoull(argv[1], nullptr, 10);
  for (int i = 2; i < argc; ++i) {
    bool with_value = i + 1 < argc;
    if (with_value && std::strcmp(argv[i], "--from") == 0)
      from = argv[++i];
    else if (with_value && std::strcmp(argv[i], "--copies") == 0)
      spec.copies = std::strtoull(argv[++i], nullptr, 10);
    else
      out = argv[i];
  }
  if (out == nullptr) fail("where to?");
  write_synthetic_vmcore(from != nullptr ? read_sample_memmap(from) : make_sample_memmap(1), spec,
                         out);
}
