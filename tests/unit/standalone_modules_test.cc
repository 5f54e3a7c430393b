#include <doctest/doctest.h>
#include <fcntl.h>

#include "initrd-hooks/standalone/modules.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;

TEST_CASE("module list: files in order, with parameters") {
  auto modules = parse_module_list("virtio.ko\n\nvirtio-blk.ko queue_depth=8 num=2\nlast.ko");
  REQUIRE(modules.ok());
  REQUIRE(modules->size() == 3);
  CHECK((*modules)[0].file == "virtio.ko");
  CHECK((*modules)[0].parameters.empty());
  CHECK((*modules)[1].file == "virtio-blk.ko");
  CHECK((*modules)[1].parameters == "queue_depth=8 num=2");
  CHECK((*modules)[2].file == "last.ko");
}

TEST_CASE("module list: what a module needs") {
  auto modules = parse_module_list("a.ko:b,c-d x=1:2\nb.ko: y\nc.ko\n");
  REQUIRE(modules.ok());
  REQUIRE(modules->size() == 3);
  CHECK((*modules)[0].file == "a.ko");
  CHECK((*modules)[0].needs == "b,c-d");
  CHECK((*modules)[0].parameters == "x=1:2");
  CHECK((*modules)[1].needs.empty());
  CHECK((*modules)[1].parameters == "y");
  CHECK((*modules)[2].needs.empty());
  CHECK_FALSE(parse_module_list(":b x\n").ok());
}

TEST_CASE("modules: what needs one that failed is left out, with a line for each") {
  static std::string tried;
  tried.clear();
  auto modules = parse_module_list(
      "failover.ko\nhv-vmbus.ko\nhv_storvsc.ko:scsi_mod,hv-vmbus\n"
      "hv_netvsc.ko:failover,hv_vmbus\nabove.ko:hv_netvsc\nhv_vmbus2.ko:hv_vmbus1,other\n"
      "last.ko:failover\n");
  REQUIRE(modules.ok());
  test::TempDir folder;
  auto file = open_file((folder / "log").c_str(), O_RDWR | O_CREAT, 0600);
  REQUIRE(file.ok());
  SharedProgress progress;
  load_modules(*modules, {}, progress, Log(file->get()),
               [](const Module& module, const std::vector<BootParameter>&) -> Status {
                 tried += module.file + " ";
                 if (module.file != "hv-vmbus.ko") return {};
                 return Error(ErrorKind::kIo, "cannot load the module").on(module.file);
               });
  CHECK(tried == "failover.ko hv-vmbus.ko hv_vmbus2.ko last.ko ");
  CHECK(test::read_file(folder / "log") ==
        "dumpwright: hv-vmbus.ko: cannot load the module\n"
        "dumpwright: hv_storvsc.ko is left out: it needs hv_vmbus, which is not loaded\n"
        "dumpwright: hv_netvsc.ko is left out: it needs hv_vmbus, which is not loaded\n"
        "dumpwright: above.ko is left out: it needs hv_netvsc, which is not loaded\n"
        "dumpwright: 7 modules, 4 of them not loaded\n");
  CHECK(progress.next_module == 7);
}

TEST_CASE("module list: a path is refused with its line") {
  for (const char* text : {"a.ko\n../b.ko\n", "a.ko\n/b.ko", "a.ko\n parameters\n"}) {
    auto modules = parse_module_list(text);
    REQUIRE_FALSE(modules.ok());
    CHECK(modules.error().kind() == ErrorKind::kBadInput);
    CHECK(modules.error().position() == 2);
  }
}

TEST_CASE("module list: has a limit") {
  std::string text;
  for (size_t i = 0; i < kMaxModules; i++) text += "a.ko\n";
  CHECK(parse_module_list(text).ok());
  CHECK_FALSE(parse_module_list(text + "a.ko\n").ok());
  CHECK(parse_module_list("")->empty());
}

TEST_CASE("module name: as the kernel writes it") {
  CHECK(module_name("crc32c-intel.ko") == "crc32c_intel");
  CHECK(module_name("virtio.ko") == "virtio");
}
