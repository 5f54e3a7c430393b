#include "capture/verify/verify.h"

#include <memory>
#include <optional>
#include <utility>

#include "capture/source/vmcore.h"
#include "capture/verify/elf_verifier.h"
#include "capture/verify/kdump_verifier.h"
#include "capture/verify/list_summary.h"
#include "capture/verify/stream_verifier.h"

namespace dw {

namespace {

constexpr const char* kNoListOfStream =
    "no list of checksums (vmcore.sums) is beside it; its frames have checksums of their own";
constexpr const char* kNoListOfFlattened =
    "a flattened dump has no list of checksums: nothing speaks for its headers, notes, bitmaps and "
    "page descriptors";
constexpr const char* kNoListOfElf =
    "no list of checksums (vmcore.sums) is beside it, and an ELF core has none of its own: only "
    "its "
    "headers were looked at";
constexpr const char* kNoList =
    "no list of checksums (vmcore.sums) is beside it: nothing speaks for its headers, notes, "
    "bitmaps and page descriptors";

// What the list says of itself; nothing, and told, if it says nothing that can be used.
std::optional<ListSummary> read_list(const FileView& file, Findings& findings) {
  Result<ListSummary> list = summarize_list(file);
  if (list.ok()) return *list;
  if (list.error().kind() == ErrorKind::kUnsupported)
    findings.note("the list of checksums is of another version, and is not used");
  else
    findings.add_part({"header", list.error().what(), 0, sizeof(JournalHeader), true});
  return std::nullopt;
}

void tell_list_damage(const ListSummary& list, Findings& findings) {
  if (list.damaged_at)
    findings.add_part({"a record", "is damaged", *list.damaged_at, *list.damaged_at + 1, true});
  else if (list.gap_at)
    findings.add_part(
        {"a record", "does not follow those before it", *list.gap_at, *list.gap_at + 1, true});
}

// Checks all that the list of checksums speaks for.
template <typename Verifier>
Status use_list(const VerifyFiles& files, Verifier& verifier, Findings& findings,
                const char* without) {
  if (!files.list.valid()) {
    findings.note(without);
    return {};
  }
  std::optional<ListSummary> list = read_list(files.list.get(), findings);
  if (!list) return {};
  if (!verifier.owns(*list)) {
    findings.add_part({"it", "is of another dump, or the head of this one is damaged", 0, 0, true});
    return {};
  }
  findings.report().has_list = true;
  tell_list_damage(*list, findings);
  return verifier.check_by_list(files.list.get(), *list);
}

Status verify_kdump(VerifyFiles& files, const VerifyOptions& options, Findings& findings) {
  DW_ASSIGN(OpenDump dump, open_dump(std::move(files.dump)));
  KdumpVerifier::Options how{.threads = options.threads, .named_whole = files.named_whole};
  DW_ASSIGN(std::unique_ptr<KdumpVerifier> verifier,
            KdumpVerifier::create(*dump.file, how, findings));
  if (dump.kind == DumpKind::kKdump)
    DW_TRY(use_list(files, *verifier, findings, kNoList));
  else
    findings.note(kNoListOfFlattened);
  DW_TRY(verifier->check_rest());
  return verifier->tell();
}

Status verify_stream(const VerifyFiles& files, DumpKind kind, const VerifyOptions& options,
                     Findings& findings) {
  StreamVerifier::Options how{
      .threads = options.threads,
      .named_whole = files.named_whole,
      .compression = kind == DumpKind::kLz4Stream ? Compression::kLz4 : Compression::kZstd};
  StreamVerifier verifier(files.dump.get(), how, findings);
  DW_TRY(use_list(files, verifier, findings, kNoListOfStream));
  DW_TRY(verifier.check_rest());
  return verifier.tell();
}

Status verify_elf(VerifyFiles& files, const VerifyOptions& options, Findings& findings) {
  DW_ASSIGN(Vmcore core, Vmcore::open(std::move(files.dump)));
  DW_ASSIGN(ElfVerifier verifier, ElfVerifier::create(core, options.threads, findings));
  DW_TRY(use_list(files, verifier, findings, kNoListOfElf));
  DW_TRY(verifier.check_rest());
  verifier.tell(files.named_whole);
  return {};
}

Status verify_kind(DumpKind kind, VerifyFiles& files, const VerifyOptions& options,
                   Findings& findings) {
  switch (kind) {
    case DumpKind::kElf:
      return verify_elf(files, options, findings);
    case DumpKind::kZstdStream:
    case DumpKind::kLz4Stream:
      return verify_stream(files, kind, options, findings);
    default:
      return verify_kdump(files, options, findings);
  }
}

}  // namespace

Result<VerifiedDump> verify_files(VerifyFiles files, const VerifyOptions& options,
                                  const VerifyEvents& events) {
  Findings findings(events);
  VerifiedDump verified;
  DW_ASSIGN(verified.kind, dump_kind(files.dump.get()));
  DW_TRY(verify_kind(verified.kind, files, options, findings));
  verified.report = findings.report();
  return verified;
}

Result<VerifiedDump> verify_named(VerifyFiles files, const VerifyOptions& options,
                                  const VerifyEvents& events) {
  bool named_whole = files.named_whole;
  DW_ASSIGN(VerifiedDump verified, verify_files(std::move(files), options, events));
  if (named_whole || !verified.report.whole()) return verified;
  // All that is left to do is what a run that finds it does.
  events.note("every page is there, but the dump has not got its name: capture it again");
  verified.report.says_whole = false;
  return verified;
}

}  // namespace dw
