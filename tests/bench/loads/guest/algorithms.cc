// Compiled inside a guest, so that its memory holds a compiler at work.
#include <bits/stdc++.h>

bool matches(const std::string& text) {
  static const std::regex pattern("a+b*(c|d)[[:alpha:]]{2,5}");
  std::smatch found;
  return std::regex_search(text, found, pattern);
}

long count_long(std::vector<std::string>& words) {
  std::sort(words.begin(), words.end());
  auto sizes = words | std::views::transform([](auto& word) { return word.size(); });
  return std::ranges::count_if(sizes, [](auto size) { return size > 3; });
}

template class std::multimap<std::wstring, std::function<int(int)>>;
