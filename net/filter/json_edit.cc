#include "net/filter/json_edit.h"

#include "net/filter/json_text.h"

namespace sluice {

bool find_place_to_set(std::string_view json, JsonTarget target, std::string_view value,
                       JsonPart& part, std::string_view& with, std::string& room) {
  JsonPlace place;
  if (target.pointer.find(json, place)) {
    part = {place.begin, place.end};
    with = value;
    return true;
  }
  if (target.pointer.is_root() || !target.parent.find(json, place)) return false;
  bool object = json[place.begin] == '{';
  if (!object && (json[place.begin] != '[' || target.pointer.last() != "-")) return false;
  bool is_empty = skip_blanks(json, place.begin + 1) == place.end - 1;
  room.clear();
  if (!is_empty) room += ',';
  if (object) {
    room += '"';
    append_escaped(room, target.pointer.last());
    room += "\":";
  }
  room += value;
  part = {place.end - 1, place.end - 1};
  with = room;
  return true;
}

void find_parts_to_remove(std::string_view json, JsonTarget target, std::vector<JsonPart>& parts) {
  parts.clear();
  JsonPlace parent;
  if (target.pointer.is_root() || !target.parent.find(json, parent)) return;
  bool one_stays = false;
  JsonItems items(json, parent);
  for (JsonPlace item; items.next(item);) {
    if (!items.is_called(item, target.pointer.last())) {
      one_stays = true;
      continue;
    }
    JsonPart part{item.item_begin, item.end};
    if (one_stays)
      part.begin = item.comma_before;
    else if (item.comma_behind != JsonPlace::kNone)
      part.end = item.comma_behind + 1;
    parts.push_back(part);
  }
}

}  // namespace sluice
