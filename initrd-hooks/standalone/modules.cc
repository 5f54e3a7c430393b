#include "initrd-hooks/standalone/modules.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace dw {

namespace {

Status load_module(const Module& module, const std::vector<BootParameter>& boot) {
  std::string path = std::string(kModuleFolder) + "/" + module.file;
  std::string parameters = module.parameters;
  std::string more = module_parameters(boot, module_name(module.file));
  if (!parameters.empty() && !more.empty()) parameters += ' ';
  parameters += more;
  DW_ASSIGN(Fd file, open_file(path.c_str(), O_RDONLY));
  if (::syscall(SYS_finit_module, file.get(), parameters.c_str(), 0) == 0 || errno == EEXIST) {
    // The initrd lies in memory, of which there is little; the kernel has a copy.
    ::unlink(path.c_str());
    return {};
  }
  return Error::from_errno("cannot load the module").on(module.file);
}

}  // namespace

Result<std::vector<Module>> parse_module_list(std::string_view text) {
  std::vector<Module> modules;
  for (uint64_t number = 1; !text.empty(); number++) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    size_t blank = std::min(line.find(' '), line.size());
    std::string_view file = line.substr(0, blank);
    if (file.empty() || file.find('/') != file.npos)
      return Error(ErrorKind::kBadInput, "is no module's file name")
          .on(file)
          .at(Where::kLine, number);
    if (modules.size() >= kMaxModules)
      return Error(ErrorKind::kBadInput, "too many modules").at(Where::kLine, number);
    line.remove_prefix(std::min(blank + 1, line.size()));
    modules.push_back({std::string(file), std::string(line)});
  }
  return modules;
}

std::string module_name(std::string_view file) {
  std::string name(file.substr(0, file.find('.')));
  std::ranges::replace(name, '-', '_');
  return name;
}

void load_modules(const std::vector<BootParameter>& boot, SharedProgress& progress,
                  const Log& log) {
  auto text = read_text_file(kModuleList);
  if (!text.ok()) return log.warn(text.error());
  auto modules = parse_module_list(*text);
  if (!modules.ok()) return log.warn(modules.error());
  size_t failed = 0;
  while (progress.next_module < modules->size()) {
    // Counted before it is tried: one that kills or blocks its loader is not tried again.
    const Module& module = (*modules)[progress.next_module++];
    progress.enter(Step::kModules);
    Status status = load_module(module, boot);
    if (status.ok()) continue;
    failed++;
    log.warn(status.error());
  }
  log.say("%zu modules, %zu of them not loaded", modules->size(), failed);
}

}  // namespace dw
