#include "capture/verify/verify.h"

#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "capture/target/file_target.h"
#include "capture/verify/kdump_verifier.h"

namespace dw {

namespace {

constexpr const char* kNoList =
    "no list of checksums (vmcore.sums) is beside it: nothing speaks for its headers, notes, "
    "bitmaps and page descriptors";

// What the list says of itself; nothing, and told, if it says nothing that can be used.
std::optional<ListSummary> read_list(int fd, Findings& findings) {
  Result<ListSummary> list = summarize_list(fd);
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
Status use_list(const VerifyFiles& files, KdumpVerifier& verifier, Findings& findings) {
  if (!files.list.valid()) {
    findings.note(kNoList);
    return {};
  }
  std::optional<ListSummary> list = read_list(files.list.get(), findings);
  if (!list) return {};
  DW_ASSIGN(bool owned, verifier.owns(*list));
  if (!owned) {
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
  if (dump.kind == DumpKind::kKdump) DW_TRY(use_list(files, *verifier, findings));
  DW_TRY(verifier->check_rest());
  return verifier->tell();
}

Result<Fd> open_list(const std::string& path) {
  size_t slash = path.rfind('/');
  std::string list = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  list += kSumsName;
  Result<Fd> fd = open_file(list.c_str(), O_RDONLY | O_NONBLOCK);
  if (!fd.ok() && fd.error().errno_value() == ENOENT) return Fd();
  return fd;
}

}  // namespace

Result<VerifiedDump> verify_files(VerifyFiles files, const VerifyOptions& options,
                                  const VerifyEvents& events) {
  Findings findings(events);
  VerifiedDump verified;
  DW_ASSIGN(verified.kind, dump_kind(files.dump.get()));
  DW_TRY(verify_kdump(files, options, findings));
  verified.report = findings.report();
  return verified;
}

Result<VerifiedDump> verify_dump(const std::string& path, const VerifyOptions& options,
                                 const VerifyEvents& events) {
  VerifyFiles files;
  DW_ASSIGN(files.dump, open_file(path.c_str(), O_RDONLY | O_NONBLOCK));
  DW_ASSIGN(files.list, open_list(path));
  files.named_whole = !path.ends_with(kIncompleteSuffix);
  return verify_files(std::move(files), options, events);
}

}  // namespace dw
