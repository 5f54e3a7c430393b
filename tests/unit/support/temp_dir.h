// A folder of the test's own that goes away with the object, and what stands in it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dw::test {

class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }
  // Every file and folder below, relative to the folder, sorted.
  [[nodiscard]] std::vector<std::string> tree() const;

 private:
  std::string path_;
};

[[nodiscard]] std::vector<std::string> tree_of(const std::string& folder);
void write_file(const std::string& path, std::string_view content);
[[nodiscard]] std::string read_file(const std::string& path);

}  // namespace dw::test
