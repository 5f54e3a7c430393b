// Runs a fuzz target without a fuzzer: over every file of its corpus, then over a bounded number of
// mutations of them, always the same ones. Usage: fuzz_NAME CORPUS [MUTATIONS]
//
// An input that hangs ends the program by SIGALRM, one that crashes it stands in the file
// fuzz-failure of the current folder.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

constexpr unsigned kInputSeconds = 20;
constexpr size_t kMaxInputBytes = 1 << 20;

const Input* current_input = nullptr;

void save_input(int signal_number) {
  int fd = ::open("fuzz-failure", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd >= 0 && current_input != nullptr) {
    [[maybe_unused]] ssize_t written = ::write(fd, current_input->data(), current_input->size());
  }
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

void run(const Input& input) {
  current_input = &input;
  ::alarm(kInputSeconds);
  LLVMFuzzerTestOneInput(input.data(), input.size());
  ::alarm(0);
  current_input = nullptr;
}

// xorshift64: the same numbers on every machine.
class Random {
 public:
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  size_t below(size_t limit) { return static_cast<size_t>(next() % limit); }

 private:
  uint64_t state_ = 0x9e3779b97f4a7c15;
};

// Numbers at which lengths and offsets go wrong.
constexpr uint64_t kTelling[] = {0,
                                 1,
                                 2,
                                 4,
                                 0x7f,
                                 0x80,
                                 0xff,
                                 0x100,
                                 0xfff,
                                 0x1000,
                                 0x1001,
                                 0x7fff,
                                 0xffff,
                                 0x7fffffff,
                                 0x80000000,
                                 0xffffffff,
                                 0x100000000,
                                 0x7fffffffffffffff,
                                 ~uint64_t{0} - 4095,
                                 ~uint64_t{0} - 7,
                                 ~uint64_t{0}};

void overwrite(Input& input, size_t at, uint64_t value, size_t size) {
  for (size_t i = 0; i < size && at + i < input.size(); ++i)
    input[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

// Headers stand at the start: half of all changes go there.
size_t place(const Input& input, Random& random) {
  size_t limit = random.below(2) == 0 ? std::min<size_t>(input.size(), 512) : input.size();
  return random.below(limit);
}

void mutate_once(Input& input, Random& random) {
  if (input.empty()) input.push_back(0);
  size_t at = place(input, random);
  switch (random.below(7)) {
    case 0:
      input[at] ^= static_cast<uint8_t>(1U << random.below(8));
      break;
    case 1:
      input[at] = static_cast<uint8_t>(random.next());
      break;
    case 2:
      overwrite(input, at, kTelling[random.below(std::size(kTelling))],
                size_t{1} << random.below(4));
      break;
    case 3:
      overwrite(input, at / 8 * 8, kTelling[random.below(std::size(kTelling))], 8);
      break;
    case 4:
      input.resize(random.below(input.size()) + 1);
      break;
    case 5:
      std::copy_n(input.begin() + static_cast<ptrdiff_t>(place(input, random)) / 2,
                  std::min<size_t>(8, input.size() - at) / 2,
                  input.begin() + static_cast<ptrdiff_t>(at));
      break;
    default:
      overwrite(input, at, random.next(), 1 + random.below(8));
      break;
  }
}

std::vector<Input> read_corpus(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  std::vector<Input> corpus;
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    if (corpus.back().size() > kMaxInputBytes) {
      std::fprintf(stderr, "%s: too large for a corpus\n", path.c_str());
      std::exit(1);
    }
  }
  return corpus;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: %s CORPUS [MUTATIONS]\n", argv[0]);
    return 2;
  }
  for (int number : {SIGABRT, SIGALRM, SIGSEGV, SIGFPE, SIGILL}) ::signal(number, save_input);
  std::vector<Input> corpus = read_corpus(argv[1]);
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: the corpus is empty, nothing was tried\n", argv[1]);
    return 1;
  }
  for (const Input& input : corpus) run(input);
  run({});
  unsigned long mutations = argc == 3 ? std::strtoul(argv[2], nullptr, 10) : 0;
  Random random;
  for (unsigned long i = 0; i < mutations; ++i) {
    Input input = corpus[i % corpus.size()];
    for (size_t n = 1 + random.below(6); n > 0; --n) mutate_once(input, random);
    run(input);
  }
  std::printf("%zu files, %lu mutations\n", corpus.size(), mutations);
  return 0;
}
