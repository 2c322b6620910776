// A page of metrics as a scraper reads it.
#pragma once

#include <cmath>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice {

// Samples are keyed by name and labels, as they stand.
struct ScrapedPage {
  std::map<std::string, std::string> types;  // of families
  std::set<std::string> helps;
  std::map<std::string, double> samples;
  std::vector<std::string> order;
  std::string last_line;

  double operator[](const std::string& sample) const {
    auto found = samples.find(sample);
    EXPECT_NE(found, samples.end()) << sample;
    return found == samples.end() ? std::nan("") : found->second;
  }
};

// Reads strictly: a sample belongs to the family that was opened last, and appears once.
inline ScrapedPage read_page(const std::string& text) {
  ScrapedPage page;
  EXPECT_TRUE(text.ends_with('\n'));
  std::istringstream lines(text);
  std::string family;
  for (std::string line; std::getline(lines, line); page.last_line = line) {
    EXPECT_NE(page.last_line, "# EOF") << "the end is not the end";
    EXPECT_FALSE(line.empty());
    std::istringstream words(line);
    std::string hash;
    std::string keyword;
    words >> hash >> keyword;
    if (hash == "#") {
      if (keyword == "EOF") continue;
      std::string name;
      words >> name;
      if (keyword == "HELP") {
        EXPECT_TRUE(page.helps.insert(name).second) << name << " has two helps";
      } else {
        EXPECT_EQ(keyword, "TYPE");
        std::string type;
        words >> type;
        EXPECT_TRUE(page.types.emplace(name, type).second) << name << " has two types";
        EXPECT_TRUE(page.helps.contains(name));
        family = name;
      }
      continue;
    }
    size_t space = line.rfind(' ');
    std::string key = line.substr(0, space);
    EXPECT_TRUE(key.starts_with(family)) << key << " in the family " << family;
    EXPECT_TRUE(page.samples.emplace(key, std::stod(line.substr(space + 1))).second)
        << key << " appears twice";
    page.order.push_back(key);
  }
  return page;
}

}  // namespace sluice
