// Pass 1 for a vmcore whose kernel is not known: every page is kept.
#pragma once

#include "capture/plan/pass_one.h"

namespace dw::test {

inline PassOneResult whole_plan(
    const Vmcore& vmcore,
    const WindowBitmaps& bitmaps = [](uint64_t, Bytes, Bytes) { return Status(); }) {
  static const VmcoreLayout unknown_layout;
  PassOne pass = std::move(PassOne::create(vmcore, unknown_layout, 1, 2).value());
  return std::move(pass.run(bitmaps).value());
}

}  // namespace dw::test
