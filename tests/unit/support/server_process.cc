#include "tests/unit/support/server_process.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

namespace dw::test {

namespace {

constexpr int kStartLimitMs = 30'000;
constexpr int kPauseMs = 10;

pid_t spawn(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  if (::posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0)
    throw std::runtime_error("cannot start " + arguments[0]);
  return pid;
}

bool ended(pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) == pid; }

unsigned read_port(const std::string& path) {
  unsigned port = 0;
  std::ifstream(path) >> port;
  return port;
}

}  // namespace

ServerProcess::ServerProcess(const std::string& script, std::vector<std::string> more)
    : script_(DUMPWRIGHT_TESTS "/servers/" + script), more_(std::move(more)) {
  start(false);
}

ServerProcess::~ServerProcess() { stop(); }

void ServerProcess::start(bool same_port) {
  std::vector<std::string> arguments = {script_, folder_.path()};
  if (same_port) {
    arguments.emplace_back("--port");
    arguments.push_back(std::to_string(port_));
  }
  arguments.insert(arguments.end(), more_.begin(), more_.end());
  // A killed one leaves its file.
  ::unlink((folder_ / "port").c_str());
  pid_ = spawn(arguments);
  for (int waited_ms = 0; waited_ms < kStartLimitMs; waited_ms += kPauseMs) {
    unsigned port = read_port(folder_ / "port");
    if (port > 0) {
      // A thread that restarts it is not in the way of others that ask for the port.
      if (!same_port) port_ = static_cast<uint16_t>(port);
      return;
    }
    if (ended(pid_)) {
      pid_ = -1;
      throw std::runtime_error(script_ + " ended at once");
    }
    ::usleep(kPauseMs * 1000);
  }
  end(SIGKILL);
  throw std::runtime_error(script_ + " did not start in time");
}

void ServerProcess::end(int number) {
  if (pid_ < 0) return;
  ::kill(pid_, number);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void ServerProcess::stop() { end(SIGTERM); }

void ServerProcess::kill() { end(SIGKILL); }

void ServerProcess::restart() {
  stop();
  start(true);
}

void ServerProcess::restart(std::vector<std::string> more) {
  more_ = std::move(more);
  restart();
}

void ServerProcess::signal(int number) const { ::kill(pid_, number); }

void ServerProcess::await(const std::string& name, bool there) const {
  std::string path = folder_ / name;
  for (int waited_ms = 0; waited_ms < kStartLimitMs; waited_ms += kPauseMs) {
    if ((::access(path.c_str(), F_OK) == 0) == there) return;
    ::usleep(kPauseMs * 1000);
  }
  throw std::runtime_error(script_ + ": nothing happens to " + name);
}

}  // namespace dw::test
