#include "capture/codec/zlib_context.h"

namespace dw {

namespace {

// libdeflate makes one allocation per context, by a function that is told nothing but the size.
thread_local Buffer* allocated = nullptr;
thread_local size_t asked_bytes = 0;

void* only_ask(size_t size) {
  asked_bytes = size;
  return nullptr;
}

void* allocate(size_t size) {
  DW_CHECK(allocated->size() == 0);
  Result<Buffer> buffer = Buffer::allocate(size);
  if (!buffer.ok()) return nullptr;
  *allocated = std::move(*buffer);
  return allocated->data();
}

// Contexts are never freed by libdeflate: they go with their workspace.
void keep(void* /*memory*/) {}

libdeflate_options options_with(void* (*malloc_function)(size_t)) {
  return {.sizeof_options = sizeof(libdeflate_options),
          .malloc_func = malloc_function,
          .free_func = keep};
}

// `make` is given options with which the context lands in `workspace`.
template <typename Make>
auto make_in(Buffer& workspace, Make make) -> Result<decltype(make(nullptr))> {
  workspace = Buffer();
  allocated = &workspace;
  libdeflate_options options = options_with(allocate);
  auto* context = make(&options);
  allocated = nullptr;
  if (context == nullptr) return Error(ErrorKind::kNoMemory, "cannot allocate a zlib context");
  return context;
}

}  // namespace

size_t zlib_context_bytes(int level) {
  libdeflate_options options = options_with(only_ask);
  asked_bytes = 0;
  DW_CHECK(libdeflate_alloc_compressor_ex(level, &options) == nullptr);
  DW_CHECK(asked_bytes != 0);
  return asked_bytes;
}

Result<libdeflate_compressor*> make_zlib_context(int level, Buffer& workspace) {
  return make_in(workspace, [level](const libdeflate_options* options) {
    return libdeflate_alloc_compressor_ex(level, options);
  });
}

Result<libdeflate_decompressor*> make_zlib_decompression_context(Buffer& workspace) {
  return make_in(workspace, [](const libdeflate_options* options) {
    return libdeflate_alloc_decompressor_ex(options);
  });
}

}  // namespace dw
