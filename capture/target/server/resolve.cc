#include "capture/target/server/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace dw {

namespace {

constexpr size_t kMaxAddresses = 8;
constexpr size_t kStackBytes = 256 << 10;

struct Lookup {
  std::string host;
  std::string service;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t ended_condition;
  bool ended = false;
  int status = EAI_AGAIN;
  std::vector<SocketAddress> addresses;

  Lookup() {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&ended_condition, &attributes);
    pthread_condattr_destroy(&attributes);
  }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;
  ~Lookup() { pthread_cond_destroy(&ended_condition); }
};

int look_up(const Lookup& lookup, int flags, std::vector<SocketAddress>& addresses) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int status = ::getaddrinfo(lookup.host.c_str(), lookup.service.c_str(), &hints, &found);
  if (status != 0) return status;
  for (addrinfo* at = found; at != nullptr && addresses.size() < kMaxAddresses; at = at->ai_next) {
    SocketAddress address;
    if (at->ai_addrlen > sizeof(address.storage)) continue;
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    address.length = at->ai_addrlen;
    addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  return addresses.empty() ? EAI_NONAME : 0;
}

void* look_up_on_thread(void* argument) {
  std::unique_ptr<std::shared_ptr<Lookup>> holder(static_cast<std::shared_ptr<Lookup>*>(argument));
  Lookup& lookup = **holder;
  std::vector<SocketAddress> addresses;
  int status = look_up(lookup, 0, addresses);
  pthread_mutex_lock(&lookup.mutex);
  lookup.status = status;
  lookup.addresses = std::move(addresses);
  lookup.ended = true;
  pthread_cond_signal(&lookup.ended_condition);
  pthread_mutex_unlock(&lookup.mutex);
  return nullptr;
}

bool start_thread(const std::shared_ptr<Lookup>& lookup) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  auto holder = std::make_unique<std::shared_ptr<Lookup>>(lookup);
  pthread_t thread;
  int error = pthread_create(&thread, &attributes, look_up_on_thread, holder.get());
  pthread_attr_destroy(&attributes);
  if (error == 0) static_cast<void>(holder.release());
  return error == 0;
}

// Whether it ended in time.
bool wait_for(Lookup& lookup, uint32_t limit_ms) {
  timespec end{};
  ::clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_sec += limit_ms / 1000;
  end.tv_nsec += static_cast<long>(limit_ms % 1000) * 1000000;
  if (end.tv_nsec >= 1000000000) {
    end.tv_sec++;
    end.tv_nsec -= 1000000000;
  }
  pthread_mutex_lock(&lookup.mutex);
  int waited = 0;
  while (!lookup.ended && waited == 0)
    waited = pthread_cond_timedwait(&lookup.ended_condition, &lookup.mutex, &end);
  bool ended = lookup.ended;
  pthread_mutex_unlock(&lookup.mutex);
  return ended;
}

Error lookup_error(const std::string& host, int status) {
  if (status == EAI_NONAME)
    return Error(ErrorKind::kIo, "there is no host of this name")
        .on(host)
        .hint("look at its spelling, or write its address");
  return Error(ErrorKind::kLost, "the name of the host cannot be looked up")
      .on(host)
      .hint("is the name server there? An address needs none");
}

}  // namespace

Result<std::vector<SocketAddress>> resolve_host(const std::string& host, uint16_t port,
                                                uint32_t limit_ms) {
  auto lookup = std::make_shared<Lookup>();
  lookup->host = host;
  lookup->service = std::to_string(port);
  std::vector<SocketAddress> addresses;
  if (look_up(*lookup, AI_NUMERICHOST, addresses) == 0) return addresses;
  if (!start_thread(lookup)) return Error(ErrorKind::kNoMemory, "cannot start a thread").on(host);
  if (!wait_for(*lookup, limit_ms))
    return Error(ErrorKind::kTimeout, "looking up the name of the host took too long")
        .on(host)
        .hint("is the name server there? An address needs none");
  if (lookup->status != 0) return lookup_error(host, lookup->status);
  return std::move(lookup->addresses);
}

}  // namespace dw
