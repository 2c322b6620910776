// Any plain bytes, in any pieces, sent whenever, with states that come and go: at each send the
// client can read exactly what was sent.
#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/coding/packer_testing.h"
#include "tests/unit/random_source.h"

namespace sluice::test {
namespace {

std::string some_text(RandomSource& random) {
  std::string text;
  size_t size = random.between(0, 3) == 0 ? random.between(0, 20'000) : random.between(0, 300);
  bool noise = random.between(0, 4) == 0;
  while (text.size() < size)
    text += noise ? std::string(1, static_cast<char>(random.between(0, 255)))
                  : some_event(random.between(0, 50));
  return text;
}

TEST(PackerProperty, EachSendDecodesToThePlainBytes) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  for (size_t round = 0; round < 60; ++round) {
    ContentCoding coding = kAllCodings[random.between(0, 2)];
    PackerRig rig(coding, /*states=*/random.between(1, 3));
    std::vector<std::unique_ptr<Body>> bodies;
    for (size_t i = 0; i < 4; ++i) {
      bodies.push_back(std::make_unique<Body>(
          rig, random.between(0, 1) == 0 ? Packer::Way::kEachSend : Packer::Way::kWhenDry));
      if (!bodies.back()->packer->has_state()) bodies.pop_back();
    }
    for (size_t step = 0; step < 60 && !bodies.empty(); ++step) {
      size_t i = random.between(0, bodies.size() - 1);
      Body& body = *bodies[i];
      for (size_t pieces = random.between(0, 3); pieces > 0; --pieces)
        body.append(some_text(random));
      bool ends = random.between(0, 15) == 0;
      body.send(ends);
      ASSERT_FALSE(HasFailure()) << coding_name(coding) << " step " << step << " ends " << ends
                                 << " state " << body.packer->has_state();
      ASSERT_EQ(body.decoder->ended(), ends);
      if (ends) bodies.erase(bodies.begin() + static_cast<ptrdiff_t>(i));
      if (random.between(0, 7) == 0)
        for (size_t tick = 0; tick < limits::kEncoderRestTicks; ++tick) rig.encoders.tick();
      if (random.between(0, 7) == 0) {
        auto body_of_another = std::make_unique<Body>(rig);
        if (body_of_another->packer->has_state()) bodies.push_back(std::move(body_of_another));
      }
    }
  }
}

}  // namespace
}  // namespace sluice::test
