// What a stream needs beyond its attempt in order to make another: made when it is first needed, so
// that a stream whose upstream does not fail pays for a pointer. Owned by the stream.
#pragma once

#include <cstdint>
#include <memory>

#include "net/http/head.h"

namespace sluice {

struct Recovery {
  std::unique_ptr<Head> head;  // of the request, to write it anew
};

}  // namespace sluice
