#include "tests/fault/file_server_contract.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dw::test {

namespace {

using Open = FileServer::Open;
using Kind = ServerEntry::Kind;

std::vector<std::byte> pattern(size_t size, uint32_t seed) {
  std::vector<std::byte> bytes(size);
  uint32_t state = seed * 2654435761U + 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string told(const Error& error) {
  char text[600];
  error.format(text, sizeof(text));
  return text;
}

void require_ok(const Status& status) {
  REQUIRE_MESSAGE(status.ok(), (status.ok() ? "" : told(status.error())));
}

// That it was refused for this reason, and with a name in the message.
template <typename T>
void check_refused(const Result<T>& result, int errno_value, std::string_view name) {
  REQUIRE_FALSE(result.ok());
  INFO(told(result.error()));
  CHECK(result.error().errno_value() == errno_value);
  CHECK_FALSE(is_lost(result.error()));
  CHECK(result.error().subject().find(name) != std::string_view::npos);
}

std::unique_ptr<ServerFile> opened(FileServer& server, const std::string& path, Open how) {
  Result<std::unique_ptr<ServerFile>> file = server.open(path, how);
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : told(file.error())));
  return std::move(*file);
}

void make_file(FileServer& server, const std::string& path, std::string_view content) {
  std::unique_ptr<ServerFile> file = opened(server, path, Open::kCreate);
  if (!content.empty()) require_ok(file->write(0, bytes(content)));
  require_ok(file->commit());
}

std::string content_of(FileServer& server, const std::string& path) {
  std::unique_ptr<ServerFile> file = opened(server, path, Open::kRead);
  std::string content(file->size().value(), '\0');
  if (!content.empty())
    require_ok(file->read(0, std::as_writable_bytes(std::span(content.data(), content.size()))));
  return content;
}

Kind kind_of(FileServer& server, const std::string& path) { return server.look(path).value().kind; }

void check_bytes(ServerFile& file, uint64_t offset, Bytes expected) {
  std::vector<std::byte> found(expected.size());
  require_ok(file.read(offset, found));
  CHECK(std::ranges::equal(found, expected));
}

void check_new_names(FileServer& server) {
  CHECK(kind_of(server, "nothing") == Kind::kNothing);
  CHECK(kind_of(server, "no/thing") == Kind::kNothing);
  require_ok(server.make_directory("names"));
  CHECK(kind_of(server, "names") == Kind::kDirectory);
  check_refused(server.make_directory("names"), EEXIST, "names");
  check_refused(server.make_directory("missing/names"), ENOENT, "missing/names");
  make_file(server, "names/a", "first");
  CHECK(kind_of(server, "names/a") == Kind::kFile);
  CHECK(server.look("names/a").value().size == 5);
  check_refused(server.open("names/a", Open::kCreate), EEXIST, "names/a");
  check_refused(server.open("names", Open::kCreate), EEXIST, "names");
  check_refused(server.make_directory("names/a"), EEXIST, "names/a");
  check_refused(server.open("names/b", Open::kRead), ENOENT, "names/b");
  check_refused(server.open("names/b", Open::kReadWrite), ENOENT, "names/b");
  check_refused(server.open("missing/b", Open::kCreate), ENOENT, "missing/b");
}

void check_renames(FileServer& server) {
  make_file(server, "names/b", "second");
  check_refused(server.rename("names/a", "names/b"), EEXIST, "names/b");
  CHECK(content_of(server, "names/b") == "second");
  check_refused(server.rename("names/missing", "names/c"), ENOENT, "names/");
  require_ok(server.rename("names/a", "names/c"));
  CHECK(kind_of(server, "names/a") == Kind::kNothing);
  CHECK(content_of(server, "names/c") == "first");
  require_ok(server.replace("names/c", "names/b"));
  CHECK(content_of(server, "names/b") == "first");
  require_ok(server.replace("names/b", "names/d"));
  CHECK(kind_of(server, "names/b") == Kind::kNothing);
  require_ok(server.make_directory("names/folder"));
  check_refused(server.rename("names/folder", "names/d"), EEXIST, "names/d");
  require_ok(server.rename("names/folder", "names/moved"));
  CHECK(kind_of(server, "names/moved") == Kind::kDirectory);
}

void check_removals(FileServer& server) {
  check_refused(server.remove("names/missing"), ENOENT, "names/missing");
  check_refused(server.remove_directory("names/missing"), ENOENT, "names/missing");
  check_refused(server.remove_directory("names"), ENOTEMPTY, "names");
  require_ok(server.remove_directory("names/moved"));
  require_ok(server.remove("names/d"));
  require_ok(server.remove_directory("names"));
  CHECK(kind_of(server, "names") == Kind::kNothing);
}

}  // namespace

void check_server_names(FileServer& server) {
  check_new_names(server);
  check_renames(server);
  check_removals(server);
  Result<std::optional<uint64_t>> free = server.free_bytes();
  REQUIRE(free.ok());
  if (free->has_value()) CHECK(**free > 0);
  CHECK(server.memory_bytes() > 0);
  CHECK_FALSE(server.display().empty());
}

void check_server_content(FileServer& server) {
  std::unique_ptr<ServerFile> file = opened(server, "content", Open::kCreate);
  CHECK(file->size().value() == 0);
  require_ok(file->flush());
  require_ok(file->commit());
  std::vector<std::byte> all = pattern(100'000, 1);
  // From the back to the front, in odd pieces.
  for (size_t end = all.size(); end > 0;) {
    size_t n = std::min<size_t>(end, 7001);
    require_ok(file->write(end - n, Bytes(all).subspan(end - n, n)));
    end -= n;
  }
  CHECK(file->size().value() == all.size());
  check_bytes(*file, 0, all);
  check_bytes(*file, 99'999, Bytes(all).last(1));
  std::vector<std::byte> beyond(2);
  Status short_read = file->read(99'999, beyond);
  REQUIRE_FALSE(short_read.ok());
  CHECK(short_read.error().kind() == ErrorKind::kBadInput);

  // What overlaps, with a flush between.
  require_ok(file->write(10, bytes("old")));
  require_ok(file->flush());
  require_ok(file->write(10, bytes("new")));
  require_ok(file->flush());
  check_bytes(*file, 10, bytes("new"));

  require_ok(file->truncate(13));
  CHECK(file->size().value() == 13);
  check_bytes(*file, 10, bytes("new"));
  require_ok(file->truncate(20'000));
  check_bytes(*file, 13, std::vector<std::byte>(19'987));

  require_ok(file->write(20'000, bytes("one")));
  require_ok(file->start_commit());
  require_ok(file->write(20'003, bytes("two")));
  static_cast<void>(file->commit_done());
  require_ok(file->finish_commit());
  CHECK(file->commit_done());
  require_ok(file->flush());
  check_bytes(*file, 20'000, bytes("onetwo"));
  file.reset();
  require_ok(server.remove("content"));
}

void check_server_bulk(FileServer& server) {
  constexpr size_t kSize = 24 << 20;
  std::vector<std::byte> all = pattern(kSize, 2);
  require_ok(server.make_directory("bulk"));
  std::unique_ptr<ServerFile> file = opened(server, "bulk/staged", Open::kCreate);
  for (size_t at = 0, step = 1; at < kSize; at += step) {
    // Whole pieces of a dump, and small ones.
    step = std::min<size_t>(kSize - at, at % 3 == 0 ? 512 << 10 : 4099);
    require_ok(file->write(at, Bytes(all).subspan(at, step)));
    if (at == 0) require_ok(server.rename("bulk/staged", "bulk/named"));
    if (at < kSize / 2 && kSize / 2 <= at + step) {
      require_ok(file->commit());
      require_ok(server.rename("bulk", "moved"));
    }
  }
  require_ok(file->commit());
  CHECK(file->size().value() == kSize);
  check_bytes(*file, 0, all);
  check_bytes(*file, 12'345'678, Bytes(all).subspan(12'345'678, 3'000'001));
  file.reset();
  CHECK(server.look("moved/named").value().size == kSize);
  require_ok(server.remove("moved/named"));
  require_ok(server.remove_directory("moved"));
}

void check_server_handles(FileServer& server) {
  make_file(server, "one", "1111");
  std::unique_ptr<ServerFile> reader = opened(server, "one", Open::kRead);
  CHECK(reader->size().value() == 4);
  check_bytes(*reader, 1, bytes("111"));
  std::unique_ptr<ServerFile> writer = opened(server, "one", Open::kReadWrite);
  std::unique_ptr<ServerFile> other = opened(server, "two", Open::kCreate);
  require_ok(writer->write(4, bytes("more")));
  require_ok(other->write(0, bytes("2222")));
  require_ok(writer->flush());
  check_bytes(*reader, 0, bytes("1111more"));

  require_ok(server.replace("two", "one"));
  require_ok(other->write(4, bytes("22")));
  require_ok(other->commit());

  std::vector<std::byte> large = pattern(3 << 20, 3);
  require_ok(other->write(6, large));
  other.reset();
  reader.reset();
  writer.reset();
  // Whether they came is not promised; that the server goes on is.
  CHECK(content_of(server, "one").starts_with("222222"));
  require_ok(server.remove("one"));
}

void check_server_nameless_files(FileServer& server) {
  make_file(server, "old", "1111");
  make_file(server, "new", "2222");
  std::unique_ptr<ServerFile> file = opened(server, "old", Open::kReadWrite);
  require_ok(server.replace("new", "old"));
  check_bytes(*file, 0, bytes("1111"));
  require_ok(file->write(4, bytes("more")));
  require_ok(file->flush());
  check_bytes(*file, 0, bytes("1111more"));
  file.reset();
  CHECK(content_of(server, "old") == "2222");
  require_ok(server.remove("old"));
}

void check_server_contract(FileServer& server) {
  check_server_names(server);
  check_server_content(server);
  check_server_bulk(server);
  check_server_handles(server);
}

}  // namespace dw::test
