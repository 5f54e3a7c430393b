#include "initrd-hooks/standalone/command_line.h"

#include <algorithm>

namespace dw {

namespace {

constexpr std::string_view kBlanks = " \t\r\n\v\f";
constexpr std::string_view kOwnPrefix = "dumpwright.";

// The length of the parameter that `text` begins with, quotes included.
size_t parameter_length(std::string_view text) {
  bool quoted = false;
  for (size_t at = 0; at < text.size(); at++) {
    if (text[at] == '"') quoted = !quoted;
    if (!quoted && kBlanks.find(text[at]) != kBlanks.npos) return at;
  }
  return text.size();
}

std::string_view without_quotes(std::string_view text) {
  if (!text.starts_with('"')) return text;
  text.remove_prefix(1);
  if (text.ends_with('"')) text.remove_suffix(1);
  return text;
}

BootParameter split(std::string_view text) {
  text = without_quotes(text);
  size_t equals = text.find('=');
  if (equals == text.npos) return {std::string(text), std::nullopt};
  return {std::string(text.substr(0, equals)),
          std::string(without_quotes(text.substr(equals + 1)))};
}

std::string with_underscores(std::string_view name) {
  std::string result(name);
  std::ranges::replace(result, '-', '_');
  return result;
}

}  // namespace

std::vector<BootParameter> parse_command_line(std::string_view text) {
  std::vector<BootParameter> parameters;
  while (parameters.size() < kMaxBootParameters) {
    size_t start = text.find_first_not_of(kBlanks);
    if (start == text.npos) break;
    text.remove_prefix(start);
    size_t length = parameter_length(text);
    parameters.push_back(split(text.substr(0, length)));
    text.remove_prefix(length);
  }
  return parameters;
}

std::vector<ConfigProblem> apply_command_line(Config& config,
                                              const std::vector<BootParameter>& parameters) {
  std::vector<ConfigProblem> problems;
  bool target_seen = false;
  for (const BootParameter& parameter : parameters) {
    if (!parameter.name.starts_with(kOwnPrefix)) continue;
    std::string key = with_underscores(std::string_view(parameter.name).substr(kOwnPrefix.size()));
    if (key == "target" && !std::exchange(target_seen, true)) config.targets.clear();
    Status status = set_config(config, key, parameter.value.value_or(""));
    if (!status.ok() && problems.size() < kMaxConfigProblems)
      problems.push_back({status.error(), config_default(key)});
  }
  return problems;
}

std::string module_parameters(const std::vector<BootParameter>& parameters,
                              std::string_view module) {
  std::string prefix = with_underscores(module) + ".";
  std::string result;
  for (const BootParameter& parameter : parameters) {
    if (!with_underscores(parameter.name).starts_with(prefix)) continue;
    if (!result.empty()) result += ' ';
    result += parameter.name.substr(prefix.size());
    if (!parameter.value) continue;
    bool blank = parameter.value->find_first_of(kBlanks) != std::string::npos;
    result += blank ? "=\"" + *parameter.value + "\"" : "=" + *parameter.value;
  }
  return result;
}

}  // namespace dw
