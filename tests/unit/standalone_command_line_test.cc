#include <doctest/doctest.h>

#include "initrd-hooks/standalone/command_line.h"

using namespace dw;

TEST_CASE("command line: cut as the kernel cuts it") {
  auto parameters = parse_command_line(
      "  console=ttyS0 quiet\troot=\"LABEL=a b\" \"dumpwright.target=dev:/dev/vda:/x y\" a=b=c e= "
      "-- z\n");
  REQUIRE(parameters.size() == 8);
  CHECK(parameters[0].name == "console");
  CHECK(parameters[0].value == "ttyS0");
  CHECK(parameters[1].name == "quiet");
  CHECK_FALSE(parameters[1].value.has_value());
  CHECK(parameters[2].value == "LABEL=a b");
  CHECK(parameters[3].name == "dumpwright.target");
  CHECK(parameters[3].value == "dev:/dev/vda:/x y");
  CHECK(parameters[4].value == "b=c");
  CHECK(parameters[5].value == "");
  CHECK(parameters[6].name == "--");
}

TEST_CASE("command line: odd quotes end with the text") {
  CHECK(parse_command_line("").empty());
  CHECK(parse_command_line(" \n").empty());
  auto open = parse_command_line("a=\"b c");
  REQUIRE(open.size() == 1);
  CHECK(open[0].value == "b c");
  CHECK(parse_command_line("\"").size() == 1);
  CHECK(parse_command_line("\"\"").size() == 1);
  CHECK(parse_command_line(std::string(5000, 'a') + " b").size() == 2);
  std::string many;
  for (size_t i = 0; i < 2 * kMaxBootParameters; i++) many += "a ";
  CHECK(parse_command_line(many).size() == kMaxBootParameters);
}

TEST_CASE("command line: overrides the configuration, and its targets replace those there") {
  Config config;
  REQUIRE(apply_config(config, "target /old\ntarget /older\ndump_level 1\n").empty());
  auto problems = apply_command_line(
      config, parse_command_line("target=/no dumpwright.dump-level=31 dumpwright.target=/a "
                                 "dumpwright.target=/b dumpwright.final_action=halt"));
  CHECK(problems.empty());
  CHECK(config.targets == std::vector<std::string>{"/a", "/b"});
  CHECK(config.dump_level == 31);
  CHECK(config.final_action == FinalAction::kHalt);
}

TEST_CASE("command line: a bad override is reported and leaves the configured value") {
  Config config;
  config.threads = 2;
  auto problems = apply_command_line(
      config, parse_command_line("dumpwright.threads=many dumpwright.threads dumpwright.x=1"));
  REQUIRE(problems.size() == 3);
  CHECK(problems[0].error.subject() == "threads many");
  CHECK(config.threads == 2);
}

TEST_CASE("command line: parameters of a module") {
  auto boot = parse_command_line(
      "nvme_core.io_timeout=5 nvme-core.poll other.x=1 nvme_corex.y=2 nvme_core.s=\"a b\"");
  CHECK(module_parameters(boot, "nvme_core") == "io_timeout=5 poll s=\"a b\"");
  CHECK(module_parameters(boot, "nvme-core") == "io_timeout=5 poll s=\"a b\"");
  CHECK(module_parameters(boot, "ext4").empty());
}
