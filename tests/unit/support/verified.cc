#include "tests/unit/support/verified.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

namespace dw::test {

VerifySubject::VerifySubject(const DumpImages& images, bool named_whole)
    : images_(images), named_whole_(named_whole), dump_(memory_file(images.dump)) {
  if (!images.list.empty()) list_ = memory_file(images.list);
}

void VerifySubject::flip(bool in_list, size_t byte, unsigned bit) {
  std::byte& changed = (in_list ? images_.list : images_.dump)[byte];
  changed ^= std::byte{1} << bit;
  REQUIRE(write_all_at((in_list ? list_ : dump_).get(), Bytes(&changed, 1), byte).ok());
}

VerifyOutcome VerifySubject::verify(unsigned threads) const {
  VerifyOutcome outcome;
  VerifyEvents events{.part = [&](const DamagedPart& part) { outcome.parts.push_back(part); },
                      .pages = [&](const DamagedPages& pages) { outcome.pages.push_back(pages); },
                      .note = [&](const char* note) { outcome.notes.emplace_back(note); }};
  VerifyFiles files{.dump = Fd(::dup(dump_.get())), .list = {}, .named_whole = named_whole_};
  if (list_.valid()) files.list = Fd(::dup(list_.get()));
  Result<VerifiedDump> verified = verify_files(std::move(files), {.threads = threads}, events);
  outcome.opened = verified.ok();
  if (verified.ok())
    outcome.report = verified->report;
  else
    outcome.error = text_of(verified.error());
  return outcome;
}

std::string text_of(const VerifyOutcome& outcome) {
  std::string text = "status " + std::to_string(outcome.status()) + ": " + outcome.error;
  for (const DamagedPart& part : outcome.parts)
    text += std::string("; ") + (part.in_list ? "list: " : "") + part.part + " " + part.what +
            " at " + std::to_string(part.begin);
  for (const DamagedPages& pages : outcome.pages)
    text += "; pfn " + std::to_string(pages.first_pfn) + "-" + std::to_string(pages.last_pfn) +
            ": " + text_of(pages.damage);
  for (const std::string& note : outcome.notes) text += "; note: " + note;
  const VerifyReport& report = outcome.report;
  text += "; kept " + std::to_string(report.kept) + " there " + std::to_string(report.there) +
          " missing " + std::to_string(report.missing) + " damaged " +
          std::to_string(report.damaged) + " unchecked " + std::to_string(report.unchecked);
  return text;
}

}  // namespace dw::test
