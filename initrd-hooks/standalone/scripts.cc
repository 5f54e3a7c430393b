#include "initrd-hooks/standalone/scripts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <optional>

#include "initrd-hooks/standalone/final_action.h"
#include "initrd-hooks/standalone/progress.h"

namespace dw {

namespace {

constexpr timespec kPoll{.tv_sec = 0, .tv_nsec = 20 * 1000 * 1000};

bool is_script(const std::string& folder, const std::string& name) {
  if (name.front() == '.' || name.back() == '~') return false;
  std::string path = folder + "/" + name;
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> find_scripts(const std::string& folder, const Log& log) {
  std::vector<std::string> names;
  DIR* open_folder = ::opendir(folder.c_str());
  if (open_folder == nullptr) return names;
  while (const dirent* entry = ::readdir(open_folder)) {
    std::string name(entry->d_name);
    if (!is_script(folder, name)) continue;
    if (names.size() >= kMaxScripts) {
      log.say("%s: more than %zu scripts; the rest is left out", folder.c_str(), kMaxScripts);
      break;
    }
    names.push_back(name);
  }
  ::closedir(open_folder);
  std::ranges::sort(names);
  return names;
}

[[noreturn]] void be_script(const std::string& path, const std::vector<std::string>& environment) {
  reset_signals();
  become_ordinary();
  ::setsid();
  std::string name = path;
  std::vector<std::string> words = environment;
  words.emplace_back("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
  std::vector<char*> variables;
  for (std::string& word : words) variables.push_back(word.data());
  variables.push_back(nullptr);
  char* arguments[] = {name.data(), nullptr};
  ::execve(name.c_str(), arguments, variables.data());
  ::_exit(127);
}

// The status of waitpid(2), or nothing if the child is still there after `limit_ms`.
std::optional<int> wait_for(pid_t child, int64_t limit_ms, Watchdog& watchdog) {
  int64_t deadline = shared_clock_ms() + limit_ms;
  for (;;) {
    int status = 0;
    pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return status;
    if (ended < 0 && errno != EINTR) return 0;  // somebody else has reaped it
    int64_t now = shared_clock_ms();
    if (now >= deadline) return std::nullopt;
    watchdog.feed(now);
    ::nanosleep(&kPoll, nullptr);
  }
}

bool run_script(const std::string& path, const std::vector<std::string>& environment,
                int64_t limit_ms, Watchdog& watchdog, const Log& log) {
  log.say("running %s", path.c_str());
  pid_t child = ::fork();
  if (child == 0) be_script(path, environment);
  if (child < 0) {
    log.warn(Error::from_errno("cannot start").on(path));
    return false;
  }
  std::optional<int> status = wait_for(child, limit_ms, watchdog);
  if (!status) {
    log.say("%s: killed, since it has not ended in %lld s", path.c_str(),
            static_cast<long long>(limit_ms / 1000));
    ::kill(-child, SIGKILL);
    ::kill(child, SIGKILL);
    wait_for(child, kScriptGraceMs, watchdog);
    return false;
  }
  if (WIFSIGNALED(*status))
    log.say("%s: ended by signal %d", path.c_str(), WTERMSIG(*status));
  else if (WEXITSTATUS(*status) != 0)
    log.say("%s: ended with status %d", path.c_str(), WEXITSTATUS(*status));
  return *status == 0;
}

}  // namespace

size_t run_scripts(const std::string& folder, const std::vector<std::string>& environment,
                   int64_t limit_ms, Watchdog& watchdog, const Log& log) {
  size_t failed = 0;
  for (const std::string& name : find_scripts(folder, log))
    if (!run_script(folder + "/" + name, environment, limit_ms, watchdog, log)) failed++;
  return failed;
}

}  // namespace dw
