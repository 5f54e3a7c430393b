// Logging in to the sshd of a test.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "capture/target/ssh/ssh_server.h"
#include "tests/unit/support/ssh_server.h"

namespace dw::test {

inline constexpr ServerTimes kTimes{
    .connect_ms = 10'000, .reply_ms = 10'000, .sync_ms = 30'000, .keepalive_ms = 1'000};
// For servers that will not answer, from the first or from some moment on.
inline constexpr ServerTimes kNoConnection{
    .connect_ms = 700, .reply_ms = 700, .sync_ms = 700, .keepalive_ms = 200};
inline constexpr ServerTimes kImpatient{
    .connect_ms = 10'000, .reply_ms = 2'000, .sync_ms = 2'000, .keepalive_ms = 500};

inline std::string told(const Error& error) {
  char text[600];
  error.format(text, sizeof(text));
  return text;
}

// Where a server for tests is, and how to log in there.
struct Login {
  SshAddress address;
  SshOptions options;

  explicit Login(const TestSshd& server)
      : address{.host = "127.0.0.1",
                .port = server.port(),
                .user = "root",
                .directory = server.data() + "/dumps"},
        options{.key_file = server.key(), .known_hosts_file = server.known_hosts()} {}

  [[nodiscard]] Result<std::unique_ptr<FileServer>> open(const ServerTimes& times = kTimes) const {
    return SshServer::open(address, options, times);
  }
  [[nodiscard]] std::unique_ptr<FileServer> opened(const ServerTimes& times = kTimes) const {
    Result<std::unique_ptr<FileServer>> server = open(times);
    REQUIRE_MESSAGE(server.ok(), (server.ok() ? "" : told(server.error())));
    return std::move(*server);
  }
  [[nodiscard]] Error refused(const ServerTimes& times = kTimes) const {
    Result<std::unique_ptr<FileServer>> server = open(times);
    REQUIRE_FALSE(server.ok());
    INFO(told(server.error()));
    return server.error();
  }
};

inline void check_says(const Error& error, ErrorKind kind, const std::string& text) {
  CHECK(error.kind() == kind);
  CHECK_MESSAGE(told(error).find(text) != std::string::npos, told(error));
}

}  // namespace dw::test
