#include "tests/fault/cli_support.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "tests/unit/support/text.h"

namespace dw::test {

Outcome capture(const std::string& vmcore, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"capture", "-d1", "--source", vmcore};
  arguments.insert(arguments.end(), more.begin(), more.end());
  Outcome outcome = dumpwright(arguments);
  CHECK_FALSE(outcome.timed_out);
  CHECK_MESSAGE(outcome.signal == 0, outcome.err);
  return outcome;
}

SavedDump::SavedDump() {
  small_crash().write_to(dir / "input");
  REQUIRE(capture(dir / "input", {dir / "dumps"}).status == 0);
}

void check_refused(const Outcome& outcome, const std::string& subject, const std::string& what) {
  INFO(outcome.err);
  CHECK(outcome.status == 1);
  CHECK(outcome.out.empty());
  unsigned errors = 0;
  for (const std::string& line : outcome.lines()) {
    CHECK(line.starts_with("dumpwright: "));
    if (!line.starts_with("dumpwright: error: ")) continue;
    ++errors;
    CHECK(contains(line, subject));
    CHECK(contains(line, what));
    CHECK(contains(line, "; "));
  }
  CHECK(errors == 1);
}

Comparison check_dump(const std::string& path, const std::vector<KnownPage>& pages, bool whole) {
  Result<Fd> fd = open_file(path.c_str(), O_RDONLY);
  REQUIRE_MESSAGE(fd.ok(), text_of(fd));
  Result<KdumpReader> reader = KdumpReader::open(std::move(*fd));
  REQUIRE_MESSAGE(reader.ok(), text_of(reader));
  Comparison result = compare(pages, *reader);
  CHECK(result.wrong == 0);
  CHECK(result.refused == 0);
  CHECK(result.excluded == 0);
  if (whole) CHECK_FALSE(reader->incomplete());
  // The header says so before the name does.
  if (!reader->incomplete()) CHECK(result.right == pages.size());
  return result;
}

}  // namespace dw::test
