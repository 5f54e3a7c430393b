#include "capture/codec/zstd_context.h"

namespace dw {

namespace {

constexpr ZstdSetting kAlways[] = {{ZSTD_c_contentSizeFlag, 1}, {ZSTD_c_checksumFlag, 1}};

// `set` is ZSTD_CCtx_setParameter, or its like for ZSTD_CCtx_params.
template <typename Target>
void apply(Target* target, ZstdSettings settings, size_t (*set)(Target*, ZSTD_cParameter, int)) {
  for (ZstdSettings some : {ZstdSettings(kAlways), settings})
    for (const ZstdSetting& setting : some)
      DW_CHECK(ZSTD_isError(set(target, setting.parameter, setting.value)) == 0);
}

}  // namespace

std::array<ZstdSetting, 7> zstd_level_settings(int level, size_t content_size) {
  ZSTD_compressionParameters p = ZSTD_getCParams(level, content_size, 0);
  return {{{ZSTD_c_windowLog, static_cast<int>(p.windowLog)},
           {ZSTD_c_chainLog, static_cast<int>(p.chainLog)},
           {ZSTD_c_hashLog, static_cast<int>(p.hashLog)},
           {ZSTD_c_searchLog, static_cast<int>(p.searchLog)},
           {ZSTD_c_minMatch, static_cast<int>(p.minMatch)},
           {ZSTD_c_targetLength, static_cast<int>(p.targetLength)},
           {ZSTD_c_strategy, static_cast<int>(p.strategy)}}};
}

size_t zstd_context_bytes(ZstdSettings settings) {
  ZSTD_CCtx_params* parameters = ZSTD_createCCtxParams();
  DW_CHECK(parameters != nullptr);
  apply(parameters, settings, ZSTD_CCtxParams_setParameter);
  size_t size = ZSTD_estimateCCtxSize_usingCCtxParams(parameters);
  ZSTD_freeCCtxParams(parameters);
  DW_CHECK(ZSTD_isError(size) == 0);
  return size;
}

Result<ZSTD_CCtx*> make_zstd_context(ZstdSettings settings, Buffer& workspace) {
  DW_ASSIGN(workspace, Buffer::allocate(zstd_context_bytes(settings)));
  ZSTD_CCtx* context = ZSTD_initStaticCCtx(workspace.data(), workspace.size());
  DW_CHECK(context != nullptr);
  apply(context, settings, ZSTD_CCtx_setParameter);
  return context;
}

Result<ZSTD_DCtx*> make_zstd_decompression_context(Buffer& workspace) {
  DW_ASSIGN(workspace, Buffer::allocate(ZSTD_estimateDCtxSize()));
  ZSTD_DCtx* context = ZSTD_initStaticDCtx(workspace.data(), workspace.size());
  DW_CHECK(context != nullptr);
  return context;
}

}  // namespace dw
