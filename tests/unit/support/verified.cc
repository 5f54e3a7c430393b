#include "tests/unit/support/verified.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <random>

#include "capture/target/memory_target.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/thinning.h"

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

VmcoreBuilder two_chunks() {
  VmcoreBuilder builder;
  builder.add_cpus(1).add_vmcoreinfo(vmcoreinfo_text());
  for (uint64_t i = 0; i < 2; ++i) {
    uint64_t at = i * 256 * kPageBytes;
    builder.add_ram(at + 8 * kPageBytes, 131 * kPageBytes);
    builder.fill(at + 8 * kPageBytes, 2 * kPageBytes, 0x11);  // the same in both chunks
    builder.fill_random(at + 12 * kPageBytes, kPageBytes, i + 1);
    builder.fill(at + 13 * kPageBytes + 100, 700, static_cast<uint8_t>(0x20 + i));
  }
  return builder;
}

DumpImages saved(const VmcoreBuilder& builder, const CaptureSettings& settings) {
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  MemoryTarget target;
  REQUIRE(capture_into(target, vmcore, settings).ok());
  REQUIRE(target.synced_state() == MemoryTarget::State::kSealed);
  return {.dump = target.synced(), .list = target.synced_sums()};
}

DumpImages interrupted(const VmcoreBuilder& builder, CaptureSettings settings, uint64_t fail_at) {
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  settings.checkpoint_each_batch = true;
  MemoryTarget memory;
  FaultTarget target(memory, fail_at, EIO);
  if (capture_into(target, vmcore, settings).ok()) return {};
  if (memory.synced_state() != MemoryTarget::State::kPublished) return {};
  return {.dump = memory.synced(), .list = memory.synced_sums()};
}

void check_every_flip(const DumpImages& images, bool in_list, size_t begin, size_t end,
                      bool named_whole) {
  VerifySubject subject(images, named_whole);
  std::mt19937 random(17);
  for (size_t byte = begin; byte < end; byte += kThinning) {
    unsigned bit = random() % 8;
    subject.flip(in_list, byte, bit);
    VerifyOutcome outcome = subject.verify();
    subject.flip(in_list, byte, bit);
    if (outcome.status() != 1)
      FAIL_CHECK("byte " << byte << " bit " << bit << " in_list " << in_list << ": "
                         << text_of(outcome));
  }
  CHECK(subject.verify().status() != 1);
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
