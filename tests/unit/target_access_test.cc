// The capture command, where somebody else makes its targets ready.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <string>
#include <vector>

#include "capture/cli/capture_command.h"
#include "capture/cli/exit_status.h"
#include "tests/unit/support/log_model.h"
#include "tests/unit/support/process.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr const char* kFolder = "web-1-20231114T221320Z/";

// Has a folder for some devices, and none for the others.
class FakeAccess final : public TargetAccess {
 public:
  [[nodiscard]] bool mounts_devices() const override { return true; }
  Result<std::string> take(const std::string& target) override {
    taken.push_back(target);
    auto found = folders.find(target);
    if (found != folders.end()) return found->second;
    return Error(ErrorKind::kTimeout, "did not appear").on(target);
  }
  Result<std::optional<std::string>> peek(const std::string& target) override {
    peeks++;
    if (target == late && peeks == 1) return std::optional<std::string>();
    auto found = folders.find(target);
    if (found != folders.end()) return std::optional(found->second);
    return Error(ErrorKind::kTimeout, "did not appear").on(target);
  }

  std::map<std::string, std::string> folders;
  std::string late;  // not ready when it is asked for first
  std::vector<std::string> taken;
  int peeks = 0;
};

class NotedEvents final : public CaptureEvents {
 public:
  void on_published() override { note("head"); }
  void on_log() override { note("log"); }
  void on_pages() override { note("pages"); }

  std::vector<std::string> noted;  // each once, in order

 private:
  void note(const char* what) {
    if (std::ranges::find(noted, what) == noted.end()) noted.emplace_back(what);
  }
};

int capture(const std::string& vmcore, const std::vector<std::string>& targets,
            TargetAccess& access, CaptureEvents& events) {
  std::vector<const char*> arguments{"--source", vmcore.c_str(), "--threads", "1",
                                     "--config", "/dev/null",    "-d",        "1"};
  for (const std::string& target : targets) arguments.push_back(target.c_str());
  return capture_command(arguments, events, access);
}

// What `work` writes to stderr.
template <typename Work>
std::string console_of(const Work& work) {
  CapturedOutput output;
  Fd before(::dup(STDERR_FILENO));
  REQUIRE(::dup2(output.fd(), STDERR_FILENO) >= 0);
  work();
  ::dup2(before.get(), STDERR_FILENO);
  return output.text();
}

// As on a disk that is full, while it lives.
class NoLargerFiles {
 public:
  explicit NoLargerFiles(rlim_t bytes) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  NoLargerFiles(const NoLargerFiles&) = delete;
  NoLargerFiles& operator=(const NoLargerFiles&) = delete;
  ~NoLargerFiles() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = SIG_DFL;
};

int capture(const std::string& vmcore, const std::vector<std::string>& targets,
            TargetAccess& access) {
  CaptureEvents nobody;
  return capture(vmcore, targets, access, nobody);
}

}  // namespace

TEST_CASE("target access: a device that is not there is a target that failed, and told so") {
  TemporaryVmcore vmcore(small_crash());
  TempDir dir;
  FakeAccess access;
  access.folders["dev:/dev/b:/crash"] = dir / "b";
  CHECK(capture(vmcore.path(), {"dev:/dev/a:/crash", "dev:/dev/b:/crash"}, access) ==
        kExitComplete);
  CHECK(access.taken == std::vector<std::string>{"dev:/dev/a:/crash", "dev:/dev/b:/crash"});
  std::string report = read_file(dir / ("b/" + std::string(kFolder) + "vmcore.json"));
  CHECK(contains(report, "dev:/dev/a:/crash"));
  CHECK(contains(report, "did not appear"));
}

TEST_CASE("target access: all targets hear of the crash, the late ones after the dump") {
  TemporaryVmcore vmcore(small_crash());
  TempDir dir;
  FakeAccess access;
  access.folders["dev:/dev/a:/crash"] = dir / "a";
  access.folders["dev:/dev/b:/crash"] = dir / "b";
  access.late = "dev:/dev/a:/crash";
  // The one whose turn comes first is late for the report, and has the dump with its own.
  CHECK(capture(vmcore.path(), {"dev:/dev/a:/crash", "dev:/dev/b:/crash"}, access) ==
        kExitComplete);
  CHECK(access.taken.size() == 1);
  std::string report = read_file(dir / ("b/" + std::string(kFolder) + "vmcore.json"));
  CHECK(contains(report, "saved elsewhere"));
  CHECK(contains(report, "dev:/dev/a:/crash/web-1-20231114T221320Z"));
}

TEST_CASE("target access: a crash that a later device holds is not saved again") {
  TemporaryVmcore vmcore(small_crash());
  TempDir dir;
  FakeAccess access;
  access.folders["dev:/dev/b:/crash"] = dir / "b";
  REQUIRE(capture(vmcore.path(), {"dev:/dev/b:/crash"}, access) == kExitComplete);
  access.folders["dev:/dev/a:/crash"] = dir / "a";
  access.taken.clear();
  CHECK(capture(vmcore.path(), {"dev:/dev/a:/crash", "dev:/dev/b:/crash"}, access) ==
        kExitComplete);
  CHECK(access.taken.empty());
  CHECK(tree_of(dir / ("a/" + std::string(kFolder))) == std::vector<std::string>{"vmcore.json"});
  std::string report = read_file(dir / ("a/" + std::string(kFolder) + "vmcore.json"));
  CHECK(contains(report, "saved elsewhere"));
  CHECK(contains(report, "dev:/dev/b:/crash/web-1-20231114T221320Z"));
}

TEST_CASE("target access: no message names the folder that a device is mounted on") {
  TemporaryVmcore vmcore(small_crash());
  TempDir dir;
  FakeAccess access;
  const std::string target = "dev:UUID=ab-cd:/crash";
  access.folders[target] = dir / "mounted";
  std::string console;
  SUBCASE("saved") {
    console = console_of([&] { CHECK(capture(vmcore.path(), {target}, access) == kExitComplete); });
    CHECK(contains(console, "saved " + target + "/" + kFolder + "vmcore: "));
  }
  SUBCASE("full") {
    NoLargerFiles limit(4096);
    console = console_of([&] { CHECK(capture(vmcore.path(), {target}, access) == kExitNothing); });
    CHECK(contains(console, "error: " + target + "/" + kFolder + "vmcore.new: cannot "));
  }
  SUBCASE("no directory") {
    write_file(dir / "mounted", "a file");
    console = console_of([&] { CHECK(capture(vmcore.path(), {target}, access) == kExitNothing); });
    CHECK(contains(console, "error: " + target + ": "));
  }
  CHECK_FALSE(contains(console, "mounted"));
}

TEST_CASE("target access: what stands on the target is told as it comes") {
  TempDir dir;
  golden::KernelBuilder builder({});
  builder.set_key("CRASHTIME", "1700000000");
  RingModel ring(6, 13);
  ring.add({0, 0, "the log"});
  ring.store(builder);
  builder.build().write_to(dir / "vmcore");
  TargetAccess as_they_are;
  NotedEvents events;
  CHECK(capture(dir / "vmcore", {dir / "dumps"}, as_they_are, events) == kExitComplete);
  CHECK(events.noted == std::vector<std::string>{"log", "head", "pages"});
}

TEST_CASE("target access: with nobody who mounts, a device is no target") {
  TemporaryVmcore vmcore(small_crash());
  TargetAccess as_they_are;
  CHECK(capture(vmcore.path(), {"dev:/dev/a:/crash"}, as_they_are) == kExitUsage);
}
