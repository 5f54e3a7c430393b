// Compiled inside a guest, so that its memory holds a compiler at work.
#include <bits/stdc++.h>

template class std::map<std::string, std::vector<std::string>>;
template class std::unordered_map<std::string, std::set<long>>;
template class std::deque<std::string>;
template class std::basic_regex<char>;
template class std::list<std::pair<std::string, int>>;
