#include "tests/unit/support/network_namespace.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <unistd.h>

#include "capture/cli/config.h"

namespace dw::test {

namespace {

Fd current_namespace() {
  auto network = open_file("/proc/thread-self/ns/net", O_RDONLY);
  REQUIRE(network.ok());
  return std::move(*network);
}

Status make_link(NetlinkRequest request) {
  auto socket = NetlinkSocket::open();
  REQUIRE(socket.ok());
  return socket->request(std::move(request), "cannot make an interface");
}

}  // namespace

NetworkNamespace::NetworkNamespace() {
  before_ = current_namespace();
  REQUIRE_MESSAGE(::unshare(CLONE_NEWNET) == 0, "a network namespace needs root");
}

NetworkNamespace::~NetworkNamespace() { CHECK(::setns(before_.get(), CLONE_NEWNET) == 0); }

Fd make_network_namespace() {
  NetworkNamespace made;
  return current_namespace();
}

InsideNamespace::InsideNamespace(const Fd& network) : before_(current_namespace()) {
  REQUIRE(::setns(network.get(), CLONE_NEWNET) == 0);
}

InsideNamespace::~InsideNamespace() { CHECK(::setns(before_.get(), CLONE_NEWNET) == 0); }

void make_veth(const std::string& name, const std::string& other_name, int other_namespace) {
  NetlinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  request.add_text(IFLA_IFNAME, name);
  size_t info = request.begin(IFLA_LINKINFO);
  request.add_text(IFLA_INFO_KIND, "veth");
  size_t data = request.begin(IFLA_INFO_DATA);
  size_t peer = request.begin(VETH_INFO_PEER);
  request.add_header(ifinfomsg{});
  request.add_text(IFLA_IFNAME, other_name);
  if (other_namespace >= 0)
    request.add_number(IFLA_NET_NS_FD, static_cast<uint32_t>(other_namespace));
  for (size_t nest : {peer, data, info}) request.end(nest);
  REQUIRE(make_link(std::move(request)).ok());
}

void make_software_link(const std::string& name) {
  for (const char* kind : {"dummy", "ifb", "bridge", "ipvlan"}) {
    NetlinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
    request.add_text(IFLA_IFNAME, name);
    size_t info = request.begin(IFLA_LINKINFO);
    request.add_text(IFLA_INFO_KIND, kind);
    request.end(info);
    if (make_link(std::move(request)).ok()) return;
  }
  FAIL("the kernel can make no interface " << name);
}

NetLink link_named(const std::string& name) {
  auto links = NetLinks::open();
  REQUIRE(links.ok());
  auto list = links->list();
  REQUIRE(list.ok());
  for (const NetLink& link : *list)
    if (link.name == name) return link;
  FAIL("there is no interface " << name);
  return {};
}

bool wait_for_carrier(const std::string& name) {
  for (int tries = 0; tries < 1000; tries++) {
    if (link_named(name).carrier) return true;
    ::usleep(10 * 1000);
  }
  return false;
}

std::string proc_text(const std::string& path) {
  auto text = read_text_file(path.c_str());
  REQUIRE(text.ok());
  return *text;
}

void set_proc_text(const std::string& path, const std::string& text) {
  auto file = open_file(path.c_str(), O_WRONLY);
  REQUIRE(file.ok());
  REQUIRE(write_all_at(file->get(), std::as_bytes(std::span(text)), 0).ok());
}

}  // namespace dw::test
