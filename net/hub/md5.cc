#include "net/hub/md5.h"

#include <bit>
#include <cstddef>
#include <cstring>

namespace sluice {

namespace {

using State = std::array<uint32_t, 4>;

constexpr size_t kBlockBytes = 64;

constexpr std::array<uint32_t, 64> kSines = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};
constexpr uint8_t kTurns[4][4] = {
    {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

// Little-endian, as MD5 counts.
uint32_t word(const uint8_t* from) {
  return from[0] | from[1] << 8 | from[2] << 16 | static_cast<uint32_t>(from[3]) << 24;
}

void mix_block(State& state, const uint8_t* block) {
  auto [a, b, c, d] = state;
  for (unsigned step = 0; step < 64; ++step) {
    unsigned round = step / 16;
    uint32_t mixed = 0;
    unsigned at = 0;
    switch (round) {
      case 0:
        mixed = (b & c) | (~b & d), at = step;
        break;
      case 1:
        mixed = (d & b) | (~d & c), at = 5 * step + 1;
        break;
      case 2:
        mixed = b ^ c ^ d, at = 3 * step + 5;
        break;
      default:
        mixed = c ^ (b | ~d), at = 7 * step;
        break;
    }
    mixed += a + kSines[step] + word(block + 4 * (at % 16));
    a = d;
    d = c;
    c = b;
    b += std::rotl(mixed, kTurns[round][step % 4]);
  }
  state = {state[0] + a, state[1] + b, state[2] + c, state[3] + d};
}

}  // namespace

std::array<uint8_t, 16> md5(std::string_view text) {
  State state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  size_t rest = text.size();
  for (; rest >= kBlockBytes; rest -= kBlockBytes, bytes += kBlockBytes) mix_block(state, bytes);

  // The rest, a one bit, zeros, and the length in bits; in two blocks where one is too short.
  std::array<uint8_t, 2 * kBlockBytes> tail{};
  if (rest > 0) std::memcpy(tail.data(), bytes, rest);
  tail[rest] = 0x80;
  size_t tail_bytes = rest + 1 + sizeof(uint64_t) <= kBlockBytes ? kBlockBytes : 2 * kBlockBytes;
  for (unsigned i = 0; i < sizeof(uint64_t); ++i) {
    tail[tail_bytes - sizeof(uint64_t) + i] =
        static_cast<uint8_t>(uint64_t{text.size()} * 8 >> 8 * i);
  }
  for (size_t at = 0; at < tail_bytes; at += kBlockBytes) mix_block(state, tail.data() + at);

  std::array<uint8_t, 16> sum{};
  for (unsigned i = 0; i < sum.size(); ++i)
    sum[i] = static_cast<uint8_t>(state[i / 4] >> 8 * (i % 4));
  return sum;
}

}  // namespace sluice
