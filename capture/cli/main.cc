// The program: as /init it supervises a capture, otherwise it runs the command it is given.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <span>
#include <string_view>

#include "capture/cli/announcement.h"
#include "capture/cli/bench_command.h"
#include "capture/cli/capture_command.h"
#include "capture/cli/check_config_command.h"
#include "capture/cli/convert_command.h"
#include "capture/cli/dmesg_command.h"
#include "capture/cli/exit_status.h"
#include "capture/cli/info_command.h"
#include "capture/cli/verify_command.h"
#include "capture/target/address.h"
#include "initrd-hooks/standalone/device.h"
#include "initrd-hooks/standalone/init.h"
#include "initrd-hooks/standalone/mounted_directory.h"

namespace dw {
namespace {

constexpr const char* kHelp =
    "usage: dumpwright COMMAND [OPTION...]\n"
    "\n"
    "  capture TARGET...  save the crashed kernel's memory; --help tells the options\n"
    "  info FILE          what a vmcore or a dump is, and how complete\n"
    "  dmesg FILE         the crashed kernel's log, out of a vmcore or a dump\n"
    "  verify DUMP        whether a dump is what was written, and what of it is damaged\n"
    "  convert IN OUT     a dump in another format or compression\n"
    "  check-config FILE  every problem of a configuration\n"
    "  supervise          the whole work in a capture kernel, to the reboot\n"
    "  bench VMCORE       how fast this machine saves it, and which options are best\n"
    "  version            print the version\n";

int usage() {
  std::fputs(kHelp, stderr);
  return kExitUsage;
}

Result<std::string> target_in_initrd(std::string_view target) {
  if (is_device_target(target)) {
    DW_TRY(parse_device_target(target));
    return std::string(target);
  }
  DW_ASSIGN(TargetAddress address, parse_target_address(target));
  if (address.kind == TargetKind::kDirectory) return device_target_of(address.path, {});
  if (address.kind != TargetKind::kStdout) return std::string(target);
  return Error(ErrorKind::kUsage, "cannot be used in the initrd")
      .on(target)
      .hint("use dev:UUID=U:/DIR, raw:PARTUUID=P, ssh:// or nfs://");
}

std::string device_in_initrd(std::string_view target) {
  if (is_device_target(target)) {
    auto parsed = parse_device_target(target);
    return parsed.ok() ? udev_path(*parsed) : std::string();
  }
  auto address = parse_target_address(target);
  return address.ok() && address->kind == TargetKind::kRaw ? address->path : std::string();
}

std::span<const char* const> without_first(int argc, char** argv) {
  std::span<const char* const> arguments(argv, static_cast<size_t>(argc));
  return arguments.subspan(argc > 0 ? 1 : 0);
}

int capture_for_init(int argc, char** argv, CaptureEvents& events, TargetAccess& access) {
  return capture_command(without_first(argc, argv), events, access);
}

int run_command(std::span<const char* const> arguments) {
  if (arguments.empty()) return usage();
  std::string_view command = arguments[0];
  auto rest = arguments.subspan(1);
  CaptureEvents nobody;
  TargetAccess as_they_are;
  if (command == "capture") return capture_command(rest, nobody, as_they_are);
  if (command == "info") return info_command(rest);
  if (command == "dmesg") return dmesg_command(rest);
  if (command == "verify") return verify_command(rest);
  if (command == "convert") return convert_command(rest);
  if (command == "check-config")
    return check_config_command(
        rest, {.resolve = target_in_initrd, .device = device_in_initrd, .place = place_in_initrd});
  if (command == "bench") return bench_command(rest);
  if (command == "supervise") return supervise_command(rest, {.capture = capture_for_init});
  if (command == "version" || command == "--version") {
    std::puts("dumpwright " DUMPWRIGHT_VERSION);
    return kExitComplete;
  }
  if (command == "help" || command == "--help" || command == "-h") {
    std::fputs(kHelp, stdout);
    return kExitComplete;
  }
  std::fprintf(stderr, "dumpwright: error: no such command: %s\n", arguments[0]);
  return usage();
}

// A file that is opened must not become what is written to as standard output. Reading is all that
// these allow, so that nothing is lost in silence.
void fill_closed_descriptors() {
  for (int fd = 0; fd <= STDERR_FILENO; ++fd)
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY) < 0) return;
}

}  // namespace
}  // namespace dw

int main(int argc, char** argv) {
  // A terminal or pipe that goes away must not take the dump with it.
  std::signal(SIGPIPE, SIG_IGN);
  // A file that may grow no more is told by write(2), and another target is tried.
  std::signal(SIGXFSZ, SIG_IGN);
  if (argc > 0 && dw::is_init(argv[0])) dw::run_init({.capture = dw::capture_for_init});
  dw::fill_closed_descriptors();
  int status = dw::run_command(dw::without_first(argc, argv));
  if (!dw::announcements_running()) return status;
  std::fflush(nullptr);
  ::_exit(status);
}
