#include "capture/target/server/server_target.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "capture/base/checked.h"
#include "capture/target/dump_names.h"
#include "capture/target/file_steps.h"
#include "capture/target/server/standing_files.h"
#include "capture/target/sums_file.h"

namespace dw {

namespace {

using Open = FileServer::Open;

std::string incomplete_name(const std::string& dump) {
  return dump + std::string(kIncompleteSuffix);
}

Error taken_by_another() {
  return Error::from_errno("was taken by another capture", EBUSY)
      .hint("another capture of this crash is running");
}

// Not the same for two captures.
uint64_t some_length() {
  uint32_t random = 0;
  if (::getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
    random = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&random) >> 4);
  return 1 + random % (1 << 20);
}

}  // namespace

ServerTarget::ServerTarget(FileServer& server, const std::string& name, const char* file)
    : server_(&server),
      name_(name),
      display_(server.display() + "/" + name),
      file_name_(file),
      current_name_(kStagedName),
      small_files_(server),
      room_(server),
      keeper_(server, mutex_) {}

Result<std::unique_ptr<ServerTarget>> ServerTarget::create(FileServer& server,
                                                           const std::string& name,
                                                           const char* file) {
  std::unique_ptr<ServerTarget> target(new ServerTarget(server, name, file));
  Status staged = target->told(target->stage());
  if (!staged.ok() && staged.error().errno_value() == ENOENT) {
    Status made = server.make_directory(name);
    if (!made.ok() && made.error().errno_value() != EEXIST) return with_hint(made.error());
    staged = target->told(target->stage());
  }
  if (staged.ok()) {
    target->keeper_.start();
    return target;
  }
  // Leaves no empty folder behind; one with something in it stays.
  target.reset();
  (void)server.remove_directory(name);
  return staged.error();
}

Status ServerTarget::stage() {
  DW_TRY(take_name());
  return check_alone();
}

// Never the same file again: what another run still has on its way to it must not end up in ours.
Status ServerTarget::take_name() {
  Status made = open_dump(Open::kCreate);
  if (!made.ok() && made.error().errno_value() == EEXIST) {
    DW_TRY(remove_if_there(kStagedName));
    made = open_dump(Open::kCreate);
    if (!made.ok() && made.error().errno_value() == EEXIST) return taken_by_another();
  }
  DW_TRY(made);
  owns_staged_ = true;
  return {};
}

// If the staged file was published meanwhile, the sums are not ours. Otherwise they are of a run
// that was cut off, as a staged file may be.
Status ServerTarget::check_alone() {
  DW_ASSIGN(StandingFiles found, find_standing_files(*server_, name_));
  if (found.dump.standing != Standing::kNothing) return taken_by_another();
  return found.has_sums ? remove_if_there(kSumsName) : Status();
}

Status ServerTarget::remove_if_there(const std::string& name) {
  Status removed = server_->remove(at(name));
  return !removed.ok() && removed.error().errno_value() == ENOENT ? Status() : removed;
}

Result<std::unique_ptr<ServerTarget>> ServerTarget::reopen(FileServer& server,
                                                           const std::string& name,
                                                           const char* file) {
  std::unique_ptr<ServerTarget> target(new ServerTarget(server, name, file));
  target->current_name_ = incomplete_name(file);
  DW_TRY(target->told(target->open_dump(Open::kReadWrite)));
  // A name that stays does no harm to the dump.
  Status one_name =
      server.finish_rename(target->at(kStagedName), target->at(target->current_name_));
  if (!one_name.ok() && is_lost(one_name.error())) DW_TRY(target->told(one_name));
  Status opened = target->open_sums(Open::kReadWrite);
  if (!opened.ok() && opened.error().errno_value() == ENOENT)
    opened = target->open_sums(Open::kCreate);
  DW_TRY(target->told(opened, kSumsName));
  // What is read from now on may stand in the server's memory only.
  DW_TRY(target->sync());
  target->keeper_.start();
  return target;
}

Status ServerTarget::open_dump(Open how) {
  DW_ASSIGN(std::unique_ptr<ServerFile> file, server_->open(at(current_name_), how));
  DW_ASSIGN(dump_, how == Open::kCreate ? RemoteFile::open_new(std::move(file), kDumpMemory)
                                        : RemoteFile::open(std::move(file), kDumpMemory));
  return {};
}

Status ServerTarget::open_sums(Open how) {
  DW_ASSIGN(std::unique_ptr<ServerFile> file, server_->open(at(kSumsName), how));
  DW_ASSIGN(sums_, how == Open::kCreate ? RemoteFile::open_new(std::move(file), kSumsMemory)
                                        : RemoteFile::open(std::move(file), kSumsMemory));
  sums_size_ = sums_->size();
  return {};
}

ServerTarget::~ServerTarget() {
  keeper_.stop();
  if (!dump_) return;
  small_files_.remove_spares();
  if (!owns_staged_) {
    if (!sync_failed_) (void)settle();
    (void)trim_sums();
    return;
  }
  bool had_sums = sums_.has_value();
  sums_.reset();
  dump_.reset();
  // Without its name neither the sums nor the folder are ours.
  if (!server_->remove(at(kStagedName)).ok()) return;
  if (had_sums) (void)server_->remove(at(kSumsName));
  (void)server_->remove_directory(name_);
}

Status ServerTarget::told(const Status& status, const std::string& name) const {
  if (status.ok()) return {};
  return with_hint(Error(status.error()).on(display_ + "/" + name));
}

Status ServerTarget::preallocate(uint64_t offset, uint64_t length) {
  std::lock_guard lock(mutex_);
  DW_TRY(settle());
  DW_TRY(told(room_.take(length)));
  uint64_t before = dump_->size();
  Status made;
  for (uint64_t end = offset + length; offset < end && made.ok(); moved()) {
    uint64_t piece = std::min(end - offset, kRoomPieceBytes);
    made = dump_->write_zeros(offset, offset + piece);
    offset += piece;
  }
  if (!made.ok() && made.error().kind() == ErrorKind::kNoSpace) (void)dump_->truncate(before);
  return told(made);
}

Status ServerTarget::write_at(uint64_t offset, Bytes bytes) {
  std::lock_guard lock(mutex_);
  if (held_.may_overlap(offset, bytes.size())) DW_TRY(settle());
  DW_TRY(settle_if_done());
  return told(dump_->write(offset, bytes));
}

Status ServerTarget::write_behind(uint64_t offset, Bytes bytes) {
  std::lock_guard lock(mutex_);
  return hold(HeldWrites::File::kDump, offset, bytes);
}

Status ServerTarget::read_at(uint64_t offset, MutableBytes into) {
  std::lock_guard lock(mutex_);
  if (held_.may_overlap(offset, into.size())) DW_TRY(settle());
  return told(dump_->read(offset, into));
}

Status ServerTarget::append(uint64_t offset, Bytes bytes) {
  std::lock_guard lock(mutex_);
  DW_TRY(settle_if_done());
  return told(dump_->append(offset, bytes));
}

Result<uint64_t> ServerTarget::size() {
  std::lock_guard lock(mutex_);
  DW_TRY(settle());
  return dump_->size();
}

Status ServerTarget::truncate(uint64_t length) {
  std::lock_guard lock(mutex_);
  DW_TRY(settle());
  return told(dump_->truncate(length));
}

Result<RemoteFile*> ServerTarget::sums() {
  if (!sums_) {
    Status made = open_sums(Open::kCreate);
    if (!made.ok() && made.error().errno_value() == EEXIST) made = taken_by_another();
    DW_TRY(told(made, kSumsName));
  }
  return &*sums_;
}

Status ServerTarget::append_sums(Bytes bytes) {
  std::lock_guard lock(mutex_);
  DW_TRY(sums());
  DW_TRY(hold(HeldWrites::File::kSums, sums_size_, bytes));
  sums_size_ += bytes.size();
  return {};
}

Status ServerTarget::read_sums(uint64_t offset, MutableBytes into) {
  std::lock_guard lock(mutex_);
  DW_TRY(settle());
  DW_ASSIGN(RemoteFile * sums, this->sums());
  return told(sums->read(offset, into), kSumsName);
}

Result<uint64_t> ServerTarget::sums_size() {
  std::lock_guard lock(mutex_);
  return sums_size_;
}

Status ServerTarget::preallocate_sums(uint64_t length) {
  std::lock_guard lock(mutex_);
  DW_TRY(settle());
  DW_ASSIGN(RemoteFile * sums, this->sums());
  if (length <= sums->size()) return {};
  DW_TRY(told(room_.take(length - sums->size()), kSumsName));
  sums_have_room_ = true;
  return told(sums->write_zeros(sums->size(), length), kSumsName);
}

Status ServerTarget::cut_sums(uint64_t size) {
  std::lock_guard lock(mutex_);
  DW_TRY(settle());
  DW_ASSIGN(RemoteFile * sums, this->sums());
  DW_TRY(told(sums->truncate(size), kSumsName));
  sums_size_ = size;
  sums_have_room_ = false;
  return {};
}

// Room that stays is of no harm: neither records nor zeros are.
Status ServerTarget::trim_sums() {
  if (!sums_ || !sums_have_room_) return {};
  DW_TRY(sums_->truncate(sums_size_));
  sums_have_room_ = false;
  return {};
}

Status ServerTarget::reserve_file(const char* name, size_t bytes) {
  std::lock_guard lock(mutex_);
  return told(small_files_.reserve(at(name), bytes), name);
}

Status ServerTarget::put_file(const char* name, Bytes content) {
  std::lock_guard lock(mutex_);
  bool last = current_name_ == file_name_;
  return told(small_files_.put(at(name), content, last), name);
}

std::optional<uint64_t> ServerTarget::free_bytes() {
  std::lock_guard lock(mutex_);
  return room_.free_bytes();
}

Status ServerTarget::sync() {
  std::lock_guard lock(mutex_);
  return sync_all();
}

Status ServerTarget::sync_all() {
  if (sync_failed_) return told(Error::from_errno("cannot sync", EIO));
  DW_TRY(settle());
  DW_TRY(begin_commit());
  return end_commit();
}

// Once the memory for it is lent nothing is read ahead any more: barriers come when pages are
// written.
Status ServerTarget::barrier() {
  std::lock_guard lock(mutex_);
  if (sync_failed_) return told(Error::from_errno("cannot sync", EIO));
  DW_TRY(settle());
  if (!held_.has_memory()) held_.use(dump_->give_window());
  return begin_commit();
}

Status ServerTarget::begin_commit() {
  Status begun = commit_begun();
  if (!begun.ok()) sync_failed_ = true;
  return begun;
}

Status ServerTarget::commit_begun() {
  DW_TRY(told(dump_->start_commit()));
  if (sums_) DW_TRY(told(sums_->start_commit(), kSumsName));
  committing_ = true;
  committing_sums_ = sums_.has_value();
  return {};
}

Status ServerTarget::end_commit() {
  if (!committing_) return {};
  committing_ = false;
  Status ended = told(dump_->finish_commit());
  if (ended.ok() && committing_sums_) ended = told(sums_->finish_commit(), kSumsName);
  if (!ended.ok()) sync_failed_ = true;
  return ended;
}

Status ServerTarget::settle() {
  DW_TRY(end_commit());
  return held_.release([this](HeldWrites::File file, uint64_t offset, Bytes bytes) {
    return write_now(file, offset, bytes);
  });
}

Status ServerTarget::settle_if_done() {
  if (!committing_ || !dump_->commit_done()) return {};
  return !committing_sums_ || sums_->commit_done() ? settle() : Status();
}

Status ServerTarget::hold(HeldWrites::File file, uint64_t offset, Bytes bytes) {
  if (held_.add(file, offset, bytes)) return {};
  DW_TRY(settle());
  return held_.add(file, offset, bytes) ? Status() : write_now(file, offset, bytes);
}

Status ServerTarget::write_now(HeldWrites::File file, uint64_t offset, Bytes bytes) {
  if (file == HeldWrites::File::kDump) return told(dump_->write(offset, bytes));
  return told(sums_->write(offset, bytes), kSumsName);
}

// The server tells no more of a file than its length: if the name's changes with ours, it is ours.
Status ServerTarget::check_still_named() {
  uint64_t length = dump_->size();
  DW_TRY(dump_->flush());
  DW_ASSIGN(bool is_ours, server_->has_name(dump_->file(), at(current_name_),
                                            {.own = length, .other = length + some_length()}));
  if (is_ours) return {};
  owns_staged_ = false;
  return taken_by_another();
}

Status ServerTarget::rename_to(const std::string& name) {
  if (sync_failed_) return told(Error::from_errno("cannot sync", EIO));
  DW_TRY(told(dump_->flush()));
  DW_TRY(told(server_->rename_open(at(current_name_), at(name), dump_->file())));
  current_name_ = name;
  return {};
}

Status ServerTarget::publish() {
  std::lock_guard lock(mutex_);
  DW_TRY(settle());
  DW_TRY(told(check_still_named()));
  Status named = rename_to(incomplete_name(file_name_));
  may_be_published_ = !named.ok() && is_lost(named.error());
  if (named.ok()) owns_staged_ = false;
  return named;
}

Status ServerTarget::seal() {
  std::lock_guard lock(mutex_);
  DW_TRY(settle());
  // It need not be durable.
  DW_TRY(told(trim_sums(), kSumsName));
  return rename_to(file_name_);
}

}  // namespace dw
