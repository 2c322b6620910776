// A page of metrics as it is written, family by family, and what adds up the workers' counts.
// Included by the files that render families; used on the admin port's thread.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/context/metrics.h"
#include "net/observe/metrics_text.h"

namespace sluice {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

// Writes families of one format.
class Page {
 public:
  explicit Page(MetricsFormat format) : format_(format) {}

  void counter(std::string_view name, std::string_view help) { family(name, "counter", help); }
  void gauge(std::string_view name, std::string_view help) { family(name, "gauge", help); }

  // A sample of the family opened last.
  void add(uint64_t value, const Labels& labels = {}) { sample("", labels, number(value)); }
  void add_real(double value, const Labels& labels = {}) { sample("", labels, number(value)); }

  void histogram(std::string_view name, std::string_view help, const Histogram& histogram) {
    family(name, "histogram", help);
    uint64_t cumulative = 0;
    for (unsigned i = 0; i < Histogram::kBuckets; ++i) {
      cumulative += histogram.in_bucket(i);
      bool open = i == Histogram::kBuckets - 1;
      sample("_bucket", {{"le", open ? "+Inf" : number(Histogram::bound_seconds(i))}},
             number(cumulative));
    }
    sample("_sum", {}, number(static_cast<double>(histogram.sum_ns) / 1e9));
    sample("_count", {}, number(histogram.count));
  }

  // What the buckets alone tell too coarsely.
  void quantiles(std::string_view name, std::string_view help, const Histogram& histogram) {
    gauge(name, help);
    for (double share : {0.5, 0.99, 0.999})
      add_real(histogram.quantile_seconds(share), {{"quantile", number(share)}});
  }

  std::string finish() {
    if (format_ == MetricsFormat::kOpenMetrics) text_ += "# EOF\n";
    return std::move(text_);
  }

 private:
  template <typename Number>
  static std::string number(Number value) {
    std::array<char, 32> digits{};
    char* end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    return {digits.data(), end};
  }

  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    counter_ = type == "counter";
    // OpenMetrics names a counter's family without the suffix that its samples carry.
    std::string shown = name_;
    if (counter_ && format_ == MetricsFormat::kPrometheus) shown += "_total";
    text_ += "# HELP " + shown + " " + std::string(help) + "\n";
    text_ += "# TYPE " + shown + " " + std::string(type) + "\n";
  }

  void sample(std::string_view suffix, const Labels& labels, const std::string& value) {
    text_ += name_;
    text_ += counter_ ? "_total" : suffix;
    if (!labels.empty()) {
      char separator = '{';
      for (const auto& [key, label] : labels) {
        text_ += separator;
        text_ += key;
        text_ += "=\"";
        for (char c : label) {
          if (c == '"' || c == '\\') text_ += '\\';
          if (c == '\n')
            text_ += "\\n";
          else
            text_ += c;
        }
        text_ += '"';
        separator = ',';
      }
      text_ += '}';
    }
    text_ += ' ' + value + '\n';
  }

  MetricsFormat format_;
  std::string text_;
  std::string name_;
  bool counter_ = false;
};

using Workers = std::vector<WorkerSnapshot>;

template <typename Get>
uint64_t sum(const Workers& workers, Get get) {
  uint64_t total = 0;
  for (const WorkerSnapshot& worker : workers) total += get(worker);
  return total;
}

inline Histogram merged(const Workers& workers, Histogram Metrics::*member) {
  Histogram total;
  for (const WorkerSnapshot& worker : workers) total.add(worker.metrics.*member);
  return total;
}

}  // namespace sluice
