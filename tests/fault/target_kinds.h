// The kinds of target that the conformance suite runs over, behind one factory for each.
//
// A kind has one place for one dump; reset() empties it. Nothing here says that the place is a
// local file system: what stands there is asked of the kind.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "capture/base/result.h"
#include "capture/target/target.h"

namespace dw::test {

using Content = std::vector<std::byte>;

// What a kind can do beside what all can.
struct TargetTraits {
  bool named = false;     // its files are seen at each step, and more can be put beside the dump
  bool reopens = false;   // a published dump can be gone on with
  bool fillable = false;  // its space has an end, and can be taken by something else
};

class TargetKind {
 public:
  TargetKind() = default;
  TargetKind(const TargetKind&) = delete;
  TargetKind& operator=(const TargetKind&) = delete;
  virtual ~TargetKind() = default;

  [[nodiscard]] virtual const char* name() const = 0;
  [[nodiscard]] virtual TargetTraits traits() const { return {}; }

  // Throws away what is in the place, and what fills it.
  virtual void reset() = 0;
  virtual std::unique_ptr<Target> create() = 0;
  // The one before is gone.
  virtual Result<std::unique_ptr<Target>> reopen();

  // What stands in the dump's place, by name. Without `named`: only what stays of a target that
  // reopens, when it is gone.
  virtual std::map<std::string, Content> files() { return {}; }
  // With `named`.
  virtual void place(const std::string& name, const std::string& content);
  // With `fillable`.
  virtual void fill() {}
  virtual void make_room() {}
};

// Throws if a file system cannot be made or mounted. may_mount() is true.
std::vector<std::unique_ptr<TargetKind>> make_target_kinds();

}  // namespace dw::test
