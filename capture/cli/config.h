// The configuration: `key value` lines as in kdump.conf, one table of known keys, typed values.
//
// A '#' at the start of a line or behind a blank begins a comment. The last line of a key wins;
// `target` may be repeated and keeps its order. Strict users take parse_config(); whoever must go
// on whatever the file says (a capture after a crash) takes apply_config() and reports the
// problems. Thread safety: plain values. Ownership: a Config owns its text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capture/base/result.h"

namespace dw {

enum class FinalAction : uint8_t {
  kReboot,
  kPoweroff,
  kHalt,
  kShell,  // where nothing was saved, and the initrd has one
};

[[nodiscard]] const char* name_of(FinalAction action);

// A field that is not set (nullopt, or an empty string) leaves the choice to its user; the defaults
// are in the table behind config_default().
struct Config {
  std::vector<std::string> targets;
  std::optional<uint64_t> dump_level;    // 0 to 31
  std::string format;                    // kdump, stream, elf or flattened
  std::string compress;                  // zstd[:LEVEL], lz4, zlib or none
  std::optional<uint64_t> threads;       // at least 1
  std::optional<uint64_t> memory_limit;  // bytes
  std::optional<uint64_t> retry_for_s;
  std::optional<uint64_t> stall_timeout_s;
  std::optional<uint64_t> capture_timeout_s;  // 0: none
  std::optional<uint64_t> connect_timeout_s;
  std::optional<uint64_t> reply_timeout_s;
  std::optional<uint64_t> sync_timeout_s;
  std::string ssh_key;
  std::string ssh_known_hosts;
  std::optional<uint64_t> ssh_connections;  // at least 1
  std::optional<uint64_t> nfs_version;      // 3 or 4
  std::optional<FinalAction> final_action;
  std::optional<FinalAction> failure_action;
  std::string hostname;
  // Of whoever builds and loads an initrd; nothing to a capture.
  std::string initrd;                    // standalone, initramfs-tools, dracut[-systemd]
  std::string kernel_arguments;          // behind the others
  std::string kernel_arguments_without;  // names, with blanks between them
};

// A line that was left out, and what holds if no other line sets its key.
struct ConfigProblem {
  Error error;
  const char* fallback;
};

inline constexpr size_t kMaxConfigBytes = 64 * 1024;
inline constexpr size_t kMaxTargets = 16;
inline constexpr size_t kMaxConfigProblems = 32;

// Every known key, in the order of the documentation.
[[nodiscard]] std::vector<std::string_view> config_keys();

// What holds where `key` is not set, in words; of an unknown key: that it is ignored.
[[nodiscard]] const char* config_default(std::string_view key);

// Sets one value. kUsage: the key is unknown, or the value is not one of its values, or
// the target stands there already; `config` is then unchanged.
Status set_config(Config& config, std::string_view key, std::string_view value);

// Sets every good line of `text` and returns the others, at most kMaxConfigProblems of them and one
// that says that there are more.
std::vector<ConfigProblem> apply_config(Config& config, std::string_view text);

struct ConfigValue {
  std::string value;
  uint64_t line;  // counts from 1
};

// The good values that `text` gives a key, in its order: all of `target`, else the last alone.
[[nodiscard]] std::vector<ConfigValue> config_values(std::string_view text, std::string_view key);

// Strict: the first bad line is the error, with its line number.
Result<Config> parse_config(std::string_view text);

// The whole of a small text file, such as the configuration. A file of more than `limit` bytes is
// kBadInput, and so is a pipe.
Result<std::string> read_text_file(const char* path, size_t limit = kMaxConfigBytes);

}  // namespace dw
