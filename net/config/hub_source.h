// A hub's source as it is written in a configuration: STREAM=URL, with the options of an upstream.
// Pure functions of text.
#pragma once

#include <string>
#include <string_view>

#include "net/config/config.h"

namespace sluice {

// Returns what is wrong with it, or "".
std::string parse_hub_source(std::string_view text, HubSource* source);

// The route by which one is read: with the settings of the hub's own route, without those that are
// for clients.
Route route_of(const HubSource& source, const Route& hub);

}  // namespace sluice
