// What a capture tells whoever supervises it: that it moves, and that there is something to keep.
//
// Thread safety: on_progress() is called from several threads at once, the others from one. The
// defaults do nothing.
#pragma once

namespace dw {

class CaptureEvents {
 public:
  CaptureEvents() = default;
  CaptureEvents(const CaptureEvents&) = delete;
  CaptureEvents& operator=(const CaptureEvents&) = delete;
  virtual ~CaptureEvents() = default;

  // A window was judged or a chunk was written: the capture is not stuck.
  virtual void on_progress() {}
  // The dump can be seen under its incomplete name and opened, whatever happens from here on.
  virtual void on_published() {}
  // The kernel's log is beside it.
  virtual void on_log() {}
  // Pages of it were written, by this capture or by that which it goes on with.
  virtual void on_pages() {}
};

}  // namespace dw
