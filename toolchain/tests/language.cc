// What a static program on musl can lose without a word when the toolchain is put
// together wrongly: exceptions, threads, thread-local objects, std::filesystem.
// Runs in an empty root with nothing but /tmp. Exits with the number of failures.
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

static int failures = 0;

static void check(bool good, const char* what) {
  std::printf("  %-36s %s\n", what, good ? "ok" : "FAILED");
  failures += !good;
}

static std::atomic<int> live_objects{0};

struct Counted {
  std::string text = "thread local";
  Counted() { live_objects++; }
  ~Counted() { live_objects--; }
};

static thread_local Counted counted;
static thread_local int caught_here = 0;

[[gnu::noinline]] static int throw_below(int depth) {
  std::string needs_cleanup(50, 'x');
  if (depth == 0) throw std::system_error(ENOENT, std::generic_category(), "below");
  return throw_below(depth - 1) + static_cast<int>(needs_cleanup.size());
}

static void test_exceptions() {
  try {
    throw_below(20);
    check(false, "exception through 20 frames");
  } catch (const std::system_error& error) {
    check(error.code().value() == ENOENT, "exception through 20 frames");
  }
  int attempts = 0;
  auto get = [&] {
    static int value = [&] {
      if (++attempts < 2) throw 1;
      return 7;
    }();
    return value;
  };
  try {
    get();
  } catch (int) {
  }
  check(get() == 7 && attempts == 2, "static initialiser that throws");
}

static void test_exceptions_in_threads() {
  std::atomic<int> caught{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; t++) {
      threads.emplace_back([&] {
        for (int i = 0; i < 5000; i++) {
          try {
            throw i;
          } catch (int) {
            caught++;
            caught_here++;
          }
        }
        if (counted.text != "thread local" || caught_here != 5000) std::abort();
      });
    }
  }
  check(caught == 20000, "exceptions in four threads");
  check(live_objects <= 1, "thread-local destructors ran");
}

static void test_synchronisation() {
  std::mutex mutex;
  std::condition_variable condition;
  bool ready = false;
  std::thread other([&] {
    std::lock_guard lock(mutex);
    ready = true;
    condition.notify_one();
  });
  {
    std::unique_lock lock(mutex);
    check(condition.wait_for(lock, std::chrono::seconds(5), [&] { return ready; }), "condition variable");
  }
  other.join();

  auto future = std::async(std::launch::async, []() -> int { throw std::runtime_error("future"); });
  try {
    future.get();
    check(false, "exception through a future");
  } catch (const std::runtime_error& error) {
    check(error.what() == std::string("future"), "exception through a future");
  }

  std::latch latch(2);
  std::counting_semaphore<4> semaphore(0);
  std::jthread waiter([&](std::stop_token stop) {
    latch.count_down();
    semaphore.acquire();
    while (!stop.stop_requested()) std::this_thread::yield();
  });
  latch.arrive_and_wait();
  semaphore.release();
  waiter.request_stop();
  waiter.join();
  check(true, "latch, semaphore, stop token");
}

static void test_stack_size() {
  size_t size = 0;
  std::thread([&] {
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
      pthread_attr_getstacksize(&attributes, &size);
      pthread_attr_destroy(&attributes);
    }
  }).join();
  check(size >= 0x1f0000, "threads have 2 MiB of stack");
}

static void test_filesystem() {
  const fs::path root = fs::temp_directory_path() / "language-test";
  fs::create_directories(root / "a/b");
  if (std::FILE* file = std::fopen((root / "a/x").c_str(), "w")) {
    std::fputs("hello", file);
    std::fclose(file);
  }
  int entries = 0;
  for ([[maybe_unused]] const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) entries++;
  check(entries == 3 && fs::file_size(root / "a/x") == 5, "filesystem");
  fs::remove_all(root);
  try {
    static_cast<void>(fs::file_size(root));
    check(false, "filesystem_error");
  } catch (const fs::filesystem_error& error) {
    check(error.code().value() == ENOENT, "filesystem_error");
  }
}

static void test_numbers() {
  double value = 0;
  const std::string text = "3.25";
  std::from_chars(text.data(), text.data() + text.size(), value);
  char out[32];
  const std::to_chars_result result = std::to_chars(out, out + sizeof out, 0.1);
  check(value == 3.25 && std::string(out, result.ptr) == "0.1", "from_chars, to_chars");
}

int main() {
  test_exceptions();
  test_exceptions_in_threads();
  test_synchronisation();
  test_stack_size();
  test_filesystem();
  test_numbers();
  return failures;
}
