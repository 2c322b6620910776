// An event as a row of the store's file, for all who read it. Owned by its reader, used on its
// thread.
#pragma once

#include <array>

#include "net/hub/sqlite_db.h"
#include "net/hub/store.h"
#include "net/hub/uuid.h"

namespace sluice {

// A statement begins with it, and goes on with what rows it wants.
#define SLUICE_SELECT_EVENTS                                                           \
  "SELECT e.global_position, e.position, e.time, s.name, e.type, e.data, e.metadata, " \
  "e.origin_id, e.id, e.json FROM events e JOIN streams s ON s.id = e.stream_id "

class SqliteRow {
 public:
  // The row at which the statement stands; its texts live until the statement's next step.
  const StoredEvent& read(const SqliteStatement& row) {
    event_.global_position = static_cast<uint64_t>(row.integer(0));
    event_.position = static_cast<uint64_t>(row.integer(1));
    event_.time_us = row.integer(2);
    event_.stream = row.text(3);
    event_.type = row.text(4);
    event_.data = row.text(5);
    event_.metadata = row.text(6);
    event_.origin_id = row.text(7);
    event_.message_id = row.text(8);
    event_.json = row.integer(9) != 0;
    if (row.is_blob(8) && event_.message_id.size() == kUuidBytes) {
      uuid_ = uuid_text(event_.message_id);
      event_.message_id = {uuid_.data(), uuid_.size()};
    }
    return event_;
  }

 private:
  StoredEvent event_;
  std::array<char, kUuidTextBytes> uuid_{};
};

}  // namespace sluice
