// The executable as /init, process 1 of a capture initrd, and below the init of another's.
//
// Process 1 mounts proc, sysfs and devtmpfs, reads the configuration and supervises; a child does
// everything that can fail, hang or run out of memory. However that ends, the machine is rebooted,
// powered off or halted by reboot(2).
// Thread safety: process 1 has one thread.
#pragma once

#include <span>

#include "capture/report/capture_events.h"
#include "capture/target/target_access.h"

namespace dw {

struct InitHooks {
  // The capture command as main() would run it: argv[0] is "capture", the targets come last. Called
  // in a child process, once per child, possibly with /proc/vmcore missing. Returns the exit
  // status: 0 complete, 1 nothing saved, 2 usage or configuration, 3 saved but incomplete.
  int (*capture)(int argc, char** argv, CaptureEvents& events, TargetAccess& access);
};

// Whether this process is the init of an initrd: process 1, started as "init" (argv[0]). In a
// container the executable may be process 1 under its own name.
[[nodiscard]] bool is_init(const char* program_name);

// Never returns: process 1 must not end.
[[noreturn]] int run_init(const InitHooks& hooks);

// The command `supervise`: the same for a child of another initrd's init, which has mounted proc,
// sysfs and devtmpfs and loads the drivers. Between the scripts of pre.d and post.d the targets are
// taken as by run_init(); then comes the final action. Does nothing and returns the exit status
// unless /proc/vmcore is there, so that it cannot reboot a machine at work.
int supervise_command(std::span<const char* const> arguments, const InitHooks& hooks);

}  // namespace dw
