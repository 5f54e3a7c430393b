#include "capture/target/nfs/nfs_file.h"

#include <algorithm>

#include "capture/target/nfs/nfs_reads.h"
#include "capture/target/nfs/nfs_status.h"

namespace dw {

bool NfsPromise::written(const NfsWritten& written) {
  writes_++;
  if (written.durable) return true;
  if (!verifier_) verifier_ = written.verifier;
  return *verifier_ == written.verifier;
}

bool NfsPromise::committed(const NfsVerifier& verifier, uint64_t writes) {
  if (verifier_ && *verifier_ != verifier) return false;
  if (writes == writes_) verifier_.reset();
  return true;
}

NfsFile::NfsFile(NfsProtocol& protocol, NfsTraffic& traffic, std::unique_ptr<NfsOpenFile> file,
                 std::string path)
    : protocol_(protocol), traffic_(traffic), file_(std::move(file)), path_(std::move(path)) {}

NfsFile::~NfsFile() {
  traffic_.forget(*this);
  protocol_.close(*file_);
}

Status NfsFile::take_error() {
  DW_TRY(protocol_.connection().state());
  if (!error_) return {};
  Error error = *error_;
  error_.reset();
  return on_path(error);
}

Status NfsFile::write(uint64_t offset, Bytes bytes) {
  DW_TRY(take_error());
  while (!bytes.empty()) {
    Bytes piece = bytes.first(std::min<size_t>(bytes.size(), protocol_.most_written()));
    DW_TRY(traffic_.write(*this, *file_, offset, piece, epoch_));
    on_their_way_[epoch_ % 2]++;
    offset += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  DW_TRY(traffic_.move_on());
  return take_error();
}

Status NfsFile::flush() {
  DW_TRY(traffic_.wait([&] { return on_their_way_[0] + on_their_way_[1] == 0; }));
  return take_error();
}

Status NfsFile::read(uint64_t offset, MutableBytes into) {
  DW_TRY(take_error());
  NfsReads reads(protocol_, *file_, offset, into);
  Status status = reads.run();
  if (status.ok() || is_lost(status.error())) return status;
  return on_path(status.error());
}

Result<uint64_t> NfsFile::size() {
  DW_TRY(flush());
  auto size = protocol_.size(*file_);
  if (!size.ok() && !is_lost(size.error())) return on_path(size.error());
  return size;
}

Status NfsFile::truncate(uint64_t length) {
  DW_TRY(flush());
  Status status = protocol_.truncate(*file_, length);
  if (!status.ok() && !is_lost(status.error())) return on_path(status.error());
  return status;
}

Status NfsFile::commit() {
  DW_TRY(start_commit());
  return finish_commit();
}

Status NfsFile::start_commit() {
  if (commit_ != Commit::kNone) DW_TRY(finish_commit());
  DW_TRY(take_error());
  commit_ = Commit::kWaitsForWrites;
  commit_error_.reset();
  epoch_++;
  DW_TRY(traffic_.wait([&] { return protocol_.connection().has_room(); }));
  ask_commit_if_due();
  return traffic_.move_on();
}

void NfsFile::ask_commit_if_due() {
  if (commit_ != Commit::kWaitsForWrites || on_their_way_[(epoch_ - 1) % 2] > 0) return;
  commit_ = Commit::kAsked;
  commit_writes_ = promise_.writes();
  Status asked = traffic_.commit(*this, *file_);
  if (!asked.ok()) on_committed(asked.error());
}

bool NfsFile::commit_done() {
  if (commit_ == Commit::kNone || !traffic_.move_on().ok()) return true;
  return commit_ == Commit::kAnswered;
}

Status NfsFile::finish_commit() {
  if (commit_ == Commit::kNone) return take_error();
  DW_TRY(traffic_.wait([&] { return commit_ == Commit::kAnswered; }));
  commit_ = Commit::kNone;
  if (!commit_error_) return take_error();
  error_.reset();
  return on_path(*commit_error_);
}

// A write and a new length that ends with it may be done in either order.
Status NfsFile::put(Bytes content) {
  if (content.empty() || content.size() > protocol_.most_written()) return ServerFile::put(content);
  DW_TRY(take_error());
  DW_TRY(traffic_.write(*this, *file_, 0, content, epoch_, NfsProtocol::Keep::kDurably));
  on_their_way_[epoch_ % 2]++;
  Status cut = protocol_.truncate(*file_, content.size());
  DW_TRY(flush());
  if (!cut.ok()) return is_lost(cut.error()) ? cut.error() : on_path(cut.error());
  return promise_.owes_commit() ? commit() : Status();
}

void NfsFile::one_less(uint32_t epoch) {
  on_their_way_[epoch % 2]--;
  ask_commit_if_due();
}

void NfsFile::forgotten() {
  protocol_.connection().give_up(
      Error(ErrorKind::kLost, "the server was started again and may have forgotten data")
          .hint("what it did not commit has to be sent again"));
}

void NfsFile::on_written(uint32_t epoch, const NfsWritten& written, bool last) {
  if (!promise_.written(written)) return forgotten();
  if (last) one_less(epoch);
}

void NfsFile::on_write_failed(uint32_t epoch, const Error& error) {
  error_ = error;
  if (commit_ == Commit::kWaitsForWrites && epoch + 1 == epoch_) commit_error_ = error;
  one_less(epoch);
}

void NfsFile::on_committed(const Result<NfsVerifier>& verifier) {
  if (verifier.ok()) {
    if (!promise_.committed(*verifier, commit_writes_)) return forgotten();
  } else {
    commit_error_ = verifier.error();
  }
  commit_ = Commit::kAnswered;
}

}  // namespace dw
