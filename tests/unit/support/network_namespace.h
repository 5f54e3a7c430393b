// A network of one's own for a test: nothing in it but a loopback interface that is down.
//
// It is the calling thread's, and that of threads which it starts, until the object goes. Needs
// root (CAP_SYS_ADMIN): without it the test fails.
#pragma once

#include <string>

#include "capture/base/fd.h"
#include "initrd-hooks/standalone/network/net_link.h"

namespace dw::test {

class NetworkNamespace {
 public:
  NetworkNamespace();
  ~NetworkNamespace();
  NetworkNamespace(const NetworkNamespace&) = delete;
  NetworkNamespace& operator=(const NetworkNamespace&) = delete;

 private:
  Fd before_;
};

// Another one, which is there as long as the descriptor.
Fd make_network_namespace();

// The calling thread is in that network until the object goes.
class InsideNamespace {
 public:
  explicit InsideNamespace(const Fd& network);
  ~InsideNamespace();
  InsideNamespace(const InsideNamespace&) = delete;
  InsideNamespace& operator=(const InsideNamespace&) = delete;

 private:
  Fd before_;
};

// Two Ethernet interfaces, both down; what goes into one comes out of the other. The second is put
// into another namespace, if one is given.
void make_veth(const std::string& name, const std::string& other_name, int other_namespace = -1);

// An interface of a kind that software makes, whichever the kernel has.
void make_software_link(const std::string& name);

// The interface of that name as it is now; the test ends if there is none.
NetLink link_named(const std::string& name);

// The kernel tells of a carrier a second late. False: there was none for 10 s.
bool wait_for_carrier(const std::string& name);

// What /proc shows of this namespace, and setting it.
std::string proc_text(const std::string& path);
void set_proc_text(const std::string& path, const std::string& text);

}  // namespace dw::test
