#include "initrd-hooks/standalone/modules.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace dw {

namespace {

// The first that a module needs and that is among those which failed; empty: there is none.
std::string missing_need(const Module& module, const std::vector<std::string>& failed) {
  for (std::string_view rest = module.needs; !rest.empty();) {
    std::string name = module_name(rest.substr(0, rest.find(',')));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    if (std::ranges::find(failed, name) != failed.end()) return name;
  }
  return {};
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
    size_t colon = std::min(file.find(':'), file.size());
    std::string_view needs = file.substr(std::min(colon + 1, file.size()));
    file = file.substr(0, colon);
    if (file.empty() || file.find('/') != file.npos)
      return Error(ErrorKind::kBadInput, "is no module's file name")
          .on(file)
          .at(Where::kLine, number);
    if (modules.size() >= kMaxModules)
      return Error(ErrorKind::kBadInput, "too many modules").at(Where::kLine, number);
    line.remove_prefix(std::min(blank + 1, line.size()));
    modules.push_back({std::string(file), std::string(needs), std::string(line)});
  }
  return modules;
}

std::string module_name(std::string_view file) {
  std::string name(file.substr(0, file.find('.')));
  std::ranges::replace(name, '-', '_');
  return name;
}

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

void load_modules(const std::vector<Module>& modules, const std::vector<BootParameter>& boot,
                  SharedProgress& progress, const Log& log,
                  Status (*load)(const Module&, const std::vector<BootParameter>&)) {
  std::vector<std::string> failed;
  while (progress.next_module < modules.size()) {
    // Counted before it is tried: one that kills or blocks its loader is not tried again.
    const Module& module = modules[progress.next_module++];
    progress.enter(Step::kModules);
    std::string missing = missing_need(module, failed);
    if (missing.empty()) {
      Status status = load(module, boot);
      if (status.ok()) continue;
      log.warn(status.error());
    } else {
      log.say("%s is left out: it needs %s, which is not loaded", module.file.c_str(),
              missing.c_str());
    }
    failed.push_back(module_name(module.file));
  }
  log.say("%zu modules, %zu of them not loaded", modules.size(), failed.size());
}

void load_modules(const std::vector<BootParameter>& boot, SharedProgress& progress,
                  const Log& log) {
  auto text = read_text_file(kModuleList);
  if (!text.ok()) return log.warn(text.error());
  auto modules = parse_module_list(*text);
  if (!modules.ok()) return log.warn(modules.error());
  load_modules(*modules, boot, progress, log);
}

}  // namespace dw
