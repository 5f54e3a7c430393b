// Kernel modules: the list that the build script packs, and loading it.
//
// Thread safety: called from one thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "initrd-hooks/standalone/command_line.h"
#include "initrd-hooks/standalone/log.h"
#include "initrd-hooks/standalone/progress.h"

namespace dw {

struct Module {
  std::string file;        // a file name in the folder of the modules, without a slash
  std::string needs;       // names of the modules that have to be loaded, with commas between them
  std::string parameters;  // as given to finit_module(2)
};

inline constexpr size_t kMaxModules = 1024;
inline constexpr char kModuleFolder[] = "/lib/modules";
inline constexpr char kModuleList[] = "/lib/modules/modules.list";

// One line per module, in load order: "FILE[:NEEDS] PARAMETERS". kBadInput, with the line: a file
// name with a slash in it, or too many lines.
Result<std::vector<Module>> parse_module_list(std::string_view text);

// The name by which the kernel knows the module in `file`: no ending, '-' as '_'.
[[nodiscard]] std::string module_name(std::string_view file);

// Loads one, with the parameters of the list and of the command line, and removes its file, which
// is in memory. One that is loaded already is fine.
Status load_module(const Module& module, const std::vector<BootParameter>& boot);

// Loads every module of the list that `progress` has not seen. A failure is reported and the next
// one tried; but what needs one that failed is left out, as the kernel would print a line for each
// symbol that it misses.
void load_modules(const std::vector<Module>& modules, const std::vector<BootParameter>& boot,
                  SharedProgress& progress, const Log& log,
                  Status (*load)(const Module&, const std::vector<BootParameter>&) = load_module);

// The same for those of kModuleList.
void load_modules(const std::vector<BootParameter>& boot, SharedProgress& progress, const Log& log);

}  // namespace dw
