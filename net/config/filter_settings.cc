// Which filters a route's events go through, and what becomes of those that they cannot look at.
#include "net/config/setting_groups.h"

namespace sluice {
namespace {

Setting filters_setting() {
  return {.name = "filters",
          .scope = Scope::kStream,
          .form = Form::kList,
          .value_name = "NAME,...",
          .help =
              "Filters that an event stream's events go through, in this order, by the names of "
              "the file's [[filter]] tables",
          .set =
              [](SettingTarget target, std::string_view text) {
                return each_item(text, [&](std::string_view item) {
                  target.route.filter_names.emplace_back(item);
                  return std::string();
                });
              },
          .clear = [](SettingTarget target) { target.route.filter_names.clear(); }};
}

}  // namespace

std::vector<Setting> filter_settings() {
  using S = StreamSettings;
  const Choices<OnUnseen> unseen{
      {"pass", OnUnseen::kPass}, {"drop", OnUnseen::kDrop}, {"end", OnUnseen::kEnd}};
  return {
      filters_setting(),
      choice_setting("on-invalid", &S::on_invalid, unseen,
                     "An event whose data is no JSON where a filter needs it: pass it as it is, "
                     "drop it, or end the stream"),
      choice_setting("on-oversize", &S::on_oversize, unseen,
                     "An event that filters cannot see whole, since it is longer than event-hold: "
                     "pass it as it is, drop it, or end the stream"),
      choice_setting("on-encoded", &S::on_encoded,
                     Choices<OnEncoded>{{"decode", OnEncoded::kDecode},
                                        {"refuse", OnEncoded::kRefuse},
                                        {"pass", OnEncoded::kPass}},
                     "An event stream that the upstream has compressed though it was asked not "
                     "to: decode it; or pass it as it is, but answer 502 where there are filters; "
                     "or pass it there, too, unfiltered"),
  };
}

}  // namespace sluice
