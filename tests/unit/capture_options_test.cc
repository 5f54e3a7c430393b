#include "capture/cli/capture_options.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

using Words = std::vector<std::string>;

// A file that is not /proc/vmcore: everything is strict.
Result<CaptureOptions> parse(Words words, const char* source = "/some/vmcore") {
  words.insert(words.end(), {"--source", source});
  std::vector<const char*> raw;
  for (const std::string& word : words) raw.push_back(word.c_str());
  return parse_capture_options(raw);
}

CaptureOptions good(const Words& words, const char* source = "/some/vmcore") {
  Result<CaptureOptions> options = parse(words, source);
  REQUIRE_MESSAGE(options.ok(), text_of(options));
  return *options;
}

void check_usage(const Words& words, std::string_view text) {
  Result<CaptureOptions> options = parse(words);
  REQUIRE_FALSE(options.ok());
  CHECK(options.error().kind() == ErrorKind::kUsage);
  CHECK_MESSAGE(contains(text_of(options), text), text_of(options));
}

}  // namespace

TEST_CASE("capture_options: defaults") {
  CaptureOptions options = good({"-d", "1", "/dumps"});
  CHECK(options.source == "/some/vmcore");
  CHECK(options.targets == Words{"/dumps"});
  CHECK(saving_for(options.saving, "/dumps").compression.compression == Compression::kZstd);
  CHECK(saving_for(options.saving, "/dumps").compression.level == 1);
  CHECK(saving_for(options.saving, "/dumps").format == DumpFormat::kKdump);
  CHECK(options.threads == 0);
  CHECK(options.memory_limit == 0);
  CHECK(options.progress == ProgressMode::kPlain);
}

TEST_CASE("capture_options: every option, as two words and with an equals sign") {
  for (bool equals : {false, true}) {
    Words words = {"/a"};
    for (auto [name, value] :
         std::vector<std::pair<std::string, std::string>>{{"--dump-level", "1"},
                                                          {"--compress", "zstd:3"},
                                                          {"--threads", "5"},
                                                          {"--memory-limit", "64M"},
                                                          {"--progress", "json"},
                                                          {"--format", "kdump"}}) {
      if (equals) {
        words.push_back(name + "=" + value);
      } else {
        words.push_back(name);
        words.push_back(value);
      }
    }
    CaptureOptions options = good(words);
    CHECK(options.dump_level == 1);
    CHECK(options.saving.compression->level == 3);
    CHECK(options.threads == 5);
    CHECK(options.memory_limit == 64 << 20);
    CHECK(options.progress == ProgressMode::kJson);
  }
}

TEST_CASE("capture_options: -d as one word and as two") {
  CHECK(good({"-d1", "/a"}).dump_level == 1);
  CHECK(good({"-d", "0", "/a"}).dump_level == 0);
  check_usage({"-d32", "/a"}, "dump_level");
  check_usage({"-dx", "/a"}, "dump_level");
}

TEST_CASE("capture_options: the last of two options wins, options may follow targets") {
  CaptureOptions options = good({"/a", "-d0", "/b", "-d1"});
  CHECK(options.dump_level == 1);
  CHECK(options.targets == Words{"/a", "/b"});
}

TEST_CASE("capture_options: targets may be given as options too") {
  CHECK(good({"--target", "/a", "--target=/b", "/c"}).targets == Words{"/a", "/b", "/c"});
}

TEST_CASE("capture_options: options that are not there or have no value") {
  check_usage({"--nonsense", "1", "/a"}, "--nonsense: no such option");
  check_usage({"-x", "/a"}, "-x: no such option");
  check_usage({"--threads", "none", "/a"}, "threads none: must be a number");
  check_usage({"--compress=brotli", "/a"}, "compress brotli: must be zstd");
  check_usage({"--progress", "loud", "/a"}, "loud: --progress is auto, plain, json or none");
  const char* cut[] = {"/a", "--threads"};
  CHECK(contains(text_of(parse_capture_options(cut)), "--threads: the option needs a value"));
  for (const char* text : {"--nonsense=1", "-x"}) {
    const char* words[] = {text, "/a"};
    CHECK(contains(text_of(parse_capture_options(words)), "; see dumpwright capture --help"));
  }
}

TEST_CASE("capture_options: each format, and what suits a target") {
  CaptureOptions both = good({"/a", "-"});
  CHECK(both.targets == Words{"/a", "-"});
  CHECK(saving_for(both.saving, "/a").format == DumpFormat::kKdump);
  CHECK(saving_for(both.saving, "-").format == DumpFormat::kStream);
  CHECK(std::string(file_name_of(saving_for(both.saving, "/a"))) == "vmcore");
  struct Case {
    Words words;
    DumpFormat format;
    Compression compression;
    std::string file;
  };
  for (const Case& expected : {
           Case{{"--format=stream", "/a"}, DumpFormat::kStream, Compression::kZstd, "vmcore.zst"},
           Case{{"--format=stream", "--compress=lz4", "/a"},
                DumpFormat::kStream,
                Compression::kLz4,
                "vmcore.lz4"},
           Case{{"--format=stream", "--compress=none", "/a"},
                DumpFormat::kStream,
                Compression::kNone,
                "vmcore.zst"},
           Case{{"--format=elf", "/a"}, DumpFormat::kElf, Compression::kNone, "vmcore.elf"},
           Case{{"--compress=zlib:3", "/a"}, DumpFormat::kKdump, Compression::kZlib, "vmcore"},
           Case{{"--format=flattened", "-"}, DumpFormat::kFlattened, Compression::kZstd, "vmcore"},
       }) {
    CaptureOptions options = good(expected.words);
    Saving saving = saving_for(options.saving, options.targets[0]);
    CHECK(saving.format == expected.format);
    CHECK(saving.compression.compression == expected.compression);
    CHECK(file_name_of(saving) == expected.file);
  }
}

TEST_CASE("capture_options: formats, compressions and targets that do not go together") {
  check_usage({"--compress=lz4", "/a"},
              "lz4: this format has no such compression; use zstd or zlib, or lz4 with --format "
              "stream");
  check_usage({"--compress=lz4", "--format=flattened", "-"}, "or lz4 with --format stream");
  check_usage({"--compress=zlib", "-"},
              "zlib: this format has no such compression; use zstd or lz4, or zlib with --format "
              "kdump or flattened");
  check_usage({"--compress=zstd", "--format=elf", "/a"},
              "an ELF core is not compressed; use --compress none");
  check_usage({"--compress=lz4", "--format=elf", "/a"}, "an ELF core is not compressed");
  check_usage({"--format=flattened", "/a"},
              "flattened: the target cannot take this format; flattened is for standard output");
  check_usage(
      {"--format=kdump", "-"},
      "kdump: the target cannot take this format; it is not written from front to back; use "
      "stream or flattened");
  check_usage({"--format=elf", "/a", "-"}, "elf: the target cannot take this format");
  check_usage({"--compress=zstd:23", "/a"}, "zstd:23");
  check_usage({"--format=qcow", "/a"}, "format qcow: must be kdump, stream, elf or flattened");
  check_usage({"-", "/a", "-"}, "-: is the same as a target before it");
}

TEST_CASE("capture_options: of a real crash what does not go together is left to us") {
  CaptureOptions options = good({"--format=flattened", "--compress=lz4", "/a"}, "/proc/vmcore");
  Saving saving = saving_for(options.saving, "/a");
  CHECK(saving.format == DumpFormat::kKdump);
  CHECK(saving.compression.compression == Compression::kZstd);
  CHECK(good({"-", "-", "/a"}, "/proc/vmcore").targets == Words{"-", "/a"});
}

TEST_CASE("capture_options: of a real crash a target that is given twice is tried once") {
  check_usage({"/a", "/b", "/a/"}, "/a/: is the same as a target before it");
  CHECK(good({"/a", "nfs://h/d", "file://a/.", "nfs://H:2049/d/?version=3", "/b"}, "/proc/vmcore")
            .targets == Words{"/a", "nfs://h/d", "/b"});
}

TEST_CASE("capture_options: a directory may be called -") {
  CHECK(good({"./-"}).targets == Words{"./-"});
  CHECK(good({"file:-"}).targets == Words{"./-"});
}

TEST_CASE("capture_options: no target") {
  check_usage({"-d1"}, "no target; name a directory for the dump");
}

TEST_CASE("capture_options: help asks for nothing else") {
  const char* words[] = {"--help"};
  CHECK(parse_capture_options(words)->help);
}

TEST_CASE("capture_options: the configuration holds where the command line is silent") {
  TempDir dir;
  write_file(dir / "conf", "target /one\ntarget /two\ndump_level 0\ncompress none\nthreads 7\n");
  CaptureOptions configured = good({"--config", dir / "conf"});
  CHECK(configured.targets == Words{"/one", "/two"});
  CHECK(configured.dump_level == 0);
  CHECK(configured.saving.compression->compression == Compression::kNone);
  CHECK(configured.threads == 7);
  CaptureOptions overridden = good({"--threads", "2", "--config", dir / "conf", "/mine", "-d1"});
  CHECK(overridden.targets == Words{"/mine"});
  CHECK(overridden.dump_level == 1);
  CHECK(overridden.threads == 2);
  CHECK(overridden.saving.compression->compression == Compression::kNone);
}

TEST_CASE("capture_options: a bad configuration stops everything but a real crash") {
  TempDir dir;
  write_file(dir / "conf", "threads many\ntarget /one\ndump_level 1\nnonsense 3\n");
  check_usage({"--config", dir / "conf"}, "threads many");
  CaptureOptions options = good({"--config", dir / "conf"}, "/proc/vmcore");
  CHECK(options.targets == Words{"/one"});
  CHECK(options.threads == 0);
  CHECK(options.dump_level == 1);
}

TEST_CASE("capture_options: a configuration that cannot be read") {
  CHECK(contains(text_of(parse({"-d1", "/a", "--config", "/no/such"})), "/no/such: cannot open"));
  CHECK(good({"-d1", "/a", "--config", "/no/such"}, "/proc/vmcore").targets == Words{"/a"});
}
