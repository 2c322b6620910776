// Messages and what our parser makes of them: the cases on which llhttp's versions differ from
// each other or from RFC 9112, with some of our own. Used by the table test and, as a corpus, by
// the mutation test.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/http1/parser.h"

namespace sluice::test {

struct Case {
  std::string_view name;
  Http1Parser::Role role;
  std::string bytes;
  std::string_view summary;  // as Transcript::summary
};

inline std::string get(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

inline std::string post(const std::string& fields, const std::string& body) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}

inline std::string post_chunked(const std::string& body) {
  return post("Transfer-Encoding: chunked\r\n", body);
}

inline std::string ok(const std::string& fields, const std::string& body = "") {
  return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body;
}

inline std::vector<Case> field_cases() {
  using namespace std::string_literals;
  constexpr auto kRequest = Http1Parser::Role::kRequest;
  return {
      {"space before colon", kRequest, get("X-A : b\r\n"), "!bad_field"},
      {"length, space before colon", kRequest, post("Content-Length : 3\r\n", "abc"), "!bad_field"},
      {"coding, space before colon", kRequest, post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
       "!bad_field"},
      {"blank before Content-Length", kRequest, post(" Content-Length: 3\r\n", "abc"),
       "!bad_field"},
      {"blank before the first field", kRequest, "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
       "!bad_field"},
      {"tab before the first field", kRequest, "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", "!bad_field"},
      {"blank line with a blank", kRequest, "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", "!bad_field"},
      {"obs-fold", kRequest, get("X-A: b\r\n c\r\n"), "!bad_field"},
      {"obs-fold with a tab", kRequest, get("X-A: b\r\n\tc\r\n"), "!bad_field"},
      {"obs-fold on length", kRequest, post("Content-Length:\r\n 3\r\n", "abc"), "!bad_field"},
      {"obs-fold on coding", kRequest, post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
       "!bad_field"},
      {"empty name", kRequest, get(": b\r\n"), "!bad_field"},
      {"no colon", kRequest, get("X-A\r\n"), "!bad_field"},
      {"CR without LF after a value", kRequest, get("X-A: b\rX-B: c\r\n"), "!bad_field"},
      {"CR after an empty value", kRequest, post("X:\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
       "!bad_field"},
      {"CR in a value", kRequest, get("X-A: b\rc\r\n"), "!bad_field"},
      {"LF line ends", kRequest, "GET / HTTP/1.1\nHost: a\n\n", "!bad_syntax"},
      {"LF after one field", kRequest, get("X-A: b\nX-B: c\r\n"), "!bad_field"},
      {"LF CRLF", kRequest, get("X-A: b\n"), "!bad_field"},
      {"CR CR LF", kRequest, get("X-A: b\r\n\r"), "!bad_field"},
      {"CR LF CR X", kRequest, "GET / HTTP/1.1\r\nHost: a\r\n\rGET /b HTTP/1.1\r\nHost: b\r\n\r\n",
       "!bad_field"},
      {"NUL in a value", kRequest, get("X-A: b\0c\r\n"s), "!bad_field"},
      {"NUL in a name", kRequest, get("X\0A: b\r\n"s), "!bad_field"},
      {"0x01 in a value", kRequest, get("X-A: b\x01\r\n"), "!bad_field"},
      {"0x7f in a value", kRequest, get("X-A: b\x7f\r\n"), "!bad_field"},
      {"0x80 in a value", kRequest, get("X-A: b\x80\r\n"), "none()"},
      {"@ in a name", kRequest, get("X@A: b\r\n"), "!bad_field"},
      {"space in a name", kRequest, get("X A: b\r\n"), "!bad_field"},
      {"0x80 in a name", kRequest, get("X\x80: b\r\n"), "!bad_field"},
      {"( in a name", kRequest, get("X(: b\r\n"), "!bad_field"},
      {"connection list", kRequest, get("Connection: x, close\r\n"), "none()"},
      {"empty value", kRequest, get("X:\r\nY: \t \r\n"), "none()"},
  };
}

inline std::vector<Case> framing_cases() {
  constexpr auto kRequest = Http1Parser::Role::kRequest;
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  const std::string last = "0\r\n\r\n";
  return {
      {"length", kRequest, post("Content-Length: 3\r\n", "abc"), "length(abc)"},
      {"length 0", kRequest, post("Content-Length: 0\r\n", ""), "length()"},
      {"length, truncated", kRequest, post("Content-Length: 3\r\n", "ab"), "length(ab..."},
      {"length and coding", kRequest, post("Content-Length: 3\r\n" + chunked, last),
       "!bad_framing"},
      {"coding and length", kRequest, post(chunked + "Content-Length: 3\r\n", last),
       "!bad_framing"},
      {"two lengths", kRequest, post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
       "!bad_framing"},
      {"two equal lengths", kRequest, post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
       "!bad_framing"},
      {"length list", kRequest, post("Content-Length: 3, 3\r\n", "abc"), "!bad_framing"},
      {"length +3", kRequest, post("Content-Length: +3\r\n", "abc"), "!bad_framing"},
      {"length -1", kRequest, post("Content-Length: -1\r\n", ""), "!bad_framing"},
      {"length 0x3", kRequest, post("Content-Length: 0x3\r\n", "abc"), "!bad_framing"},
      {"length empty", kRequest, post("Content-Length: \r\n", ""), "!bad_framing"},
      {"length 3 3", kRequest, post("Content-Length: 3 3\r\n", "abc"), "!bad_framing"},
      {"length 2^64 + 1", kRequest, post("Content-Length: 18446744073709551617\r\n", "abc"),
       "!bad_framing"},
      {"length 2^63", kRequest, post("Content-Length: 9223372036854775808\r\n", "abc"),
       "!bad_framing"},
      {"length 2^63 - 1", kRequest, post("Content-Length: 9223372036854775807\r\n", "abc"),
       "length(abc..."},
      {"length with zeros", kRequest, post("Content-Length: 0000000000000000000000003\r\n", "abc"),
       "length(abc)"},
      {"coding, blanks around", kRequest, post("Transfer-Encoding:\t chunked \t\r\n", last),
       "chunked()"},
      {"coding, any case", kRequest, post("transfer-encoding: CHUNKED\r\n", last), "chunked()"},
      {"chunked, identity", kRequest, post("Transfer-Encoding: chunked, identity\r\n", last),
       "!bad_framing"},
      {"chunked, chunked", kRequest, post("Transfer-Encoding: chunked, chunked\r\n", last),
       "!bad_framing"},
      {"identity", kRequest, post("Transfer-Encoding: identity\r\n", "abc"), "!unknown_coding"},
      {"gzip, chunked", kRequest, post("Transfer-Encoding: gzip, chunked\r\n", last),
       "!unknown_coding"},
      {"xchunked", kRequest, post("Transfer-Encoding: xchunked\r\n", last), "!unknown_coding"},
      {"no coding", kRequest, post("Transfer-Encoding:\r\n", last), "!bad_framing"},
      {"chunked in two lines", kRequest, post(chunked + chunked, last), "!bad_framing"},
      {"identity in a second line", kRequest,
       post(chunked + "Transfer-Encoding: identity\r\n", last), "!bad_framing"},
      {"0x0b before chunked", kRequest,
       post("Transfer-Encoding: \x0b"
            "chunked\r\n",
            last),
       "!bad_field"},
      {"chunked in 1.0", kRequest, "POST / HTTP/1.0\r\nHost: a\r\n" + chunked + "\r\n" + last,
       "!bad_framing"},
      {"GET with a body", kRequest, get("Content-Length: 3\r\n") + "abc", "length(abc)"},
      {"POST without a body", kRequest, post("", "GET"), "none()..."},
  };
}

inline std::vector<Case> chunk_cases() {
  using namespace std::string_literals;
  constexpr auto kRequest = Http1Parser::Role::kRequest;
  return {
      {"chunks", kRequest, post_chunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "chunked(abcde)"},
      {"truncated after a chunk", kRequest, post_chunked("3\r\nabc\r\n"), "chunked(abc..."},
      {"truncated in the last chunk", kRequest, post_chunked("3\r\nabc\r\n0\r\n"),
       "chunked(abc..."},
      {"size 0x", kRequest, post_chunked("0x3\r\nabc\r\n0\r\n\r\n"), "chunked(!bad_chunk"},
      {"size +3", kRequest, post_chunked("+3\r\nabc\r\n0\r\n\r\n"), "chunked(!bad_chunk"},
      {"size empty", kRequest, post_chunked("\r\nabc\r\n0\r\n\r\n"), "chunked(!bad_chunk"},
      {"space after size", kRequest, post_chunked("3 \r\nabc\r\n0\r\n\r\n"), "chunked(!bad_chunk"},
      {"space before size", kRequest, post_chunked(" 3\r\nabc\r\n0\r\n\r\n"), "chunked(!bad_chunk"},
      {"LF after size", kRequest, post_chunked("3\nabc\r\n0\r\n\r\n"), "chunked(!bad_chunk"},
      {"no CRLF after data", kRequest, post_chunked("3\r\nabc0\r\n\r\n"), "chunked(abc!bad_chunk"},
      {"LF after data", kRequest, post_chunked("3\r\nabc\n0\r\n\r\n"), "chunked(abc!bad_chunk"},
      {"XX after data", kRequest, post_chunked("3\r\nabcXX0\r\n\r\n"), "chunked(abc!bad_chunk"},
      {"extension, LF", kRequest, post_chunked("3;a\nabc\r\n0\r\n\r\n"), "chunked(!bad_chunk"},
      {"extension, CR", kRequest, post_chunked("3;a\rX\r\nabc\r\n0\r\n\r\n"), "chunked(!bad_chunk"},
      {"LF at the end", kRequest, post_chunked("3\r\nabc\r\n0\r\n\n"), "chunked(abc!bad_chunk"},
      {"LF after the last size", kRequest, post_chunked("3\r\nabc\r\n0\n\r\n"),
       "chunked(abc!bad_chunk"},
      {"CR X at the end", kRequest, post_chunked("3\r\nabc\r\n0\r\n\rX"), "chunked(abc!bad_chunk"},
      {"CR X after data", kRequest, post_chunked("3\r\nabc\rX0\r\n\r\n"), "chunked(abc!bad_chunk"},
      {"data of CRLFs", kRequest, post_chunked("4\r\n\r\n\r\n\r\n0\r\n\r\n"), "chunked(\r\n\r\n)"},
      {"any case of digits", kRequest,
       post_chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
       "chunked(01234567890123456789)"},
      {"extension to the last chunk", kRequest, post_chunked("1\r\nx\r\n0;a=b\r\n\r\n"),
       "chunked(x)"},
      {"many zeros are an end", kRequest, post_chunked("1\r\nx\r\n000000000\r\n\r\n"),
       "chunked(x)"},
      {"2^63", kRequest, post_chunked("8000000000000000\r\nabc"), "chunked(!bad_chunk"},
      {"2^63 - 1", kRequest, post_chunked("7fffffffffffffff\r\nabc"), "chunked(abc..."},
      {"2^63 - 1 with zeros", kRequest, post_chunked("0007FFFFFFFFFFFFFFF\r\nabc"),
       "chunked(abc..."},
      {"17 digits", kRequest, post_chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"),
       "chunked(!bad_chunk"},
      {"leading zeros", kRequest, post_chunked("00000000000000000000003\r\nabc\r\n0\r\n\r\n"),
       "chunked(abc)"},
      {"trailers dropped", kRequest, post_chunked("3\r\nabc\r\n0\r\nA: b\r\nHost: x\r\n\r\n"),
       "chunked(abc)"},
      {"length in trailers", kRequest, post_chunked("0\r\nContent-Length: 5\r\n\r\n"),
       "chunked(!bad_chunk"},
      {"coding in trailers", kRequest, post_chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"),
       "chunked(!bad_chunk"},
      {"framing in later trailers, any case", kRequest,
       post_chunked("0\r\nA: b\r\ntransfer-ENCODING:\r\n\r\n"), "chunked(!bad_chunk"},
      {"names like those of framing", kRequest,
       post_chunked("0\r\nContent-Lengt: 5\r\nContent-Length-: 5\r\nX-Content-Length: 5\r\n"
                    "Transfer-Encodings: x\r\nContent-Encoding: x\r\n\r\n"),
       "chunked()"},
      {"empty trailer", kRequest, post_chunked("0\r\nA:\r\nB: \t \r\n\r\n"), "chunked()"},
      {"0x80 in a trailer", kRequest, post_chunked("0\r\nA: b\x80\r\n\r\n"), "chunked()"},
      {"trailers, then the next", kRequest, post_chunked("0\r\nA: b\r\n\r\n") + get(""),
       "chunked()none()"},
  };
}

// Extensions by the grammar of RFC 9112 section 7.1.1: *( BWS ";" BWS name [ BWS "=" BWS value ] ).
inline std::vector<Case> extension_cases() {
  using namespace std::string_literals;
  constexpr auto kRequest = Http1Parser::Role::kRequest;
  std::vector<Case> cases;
  for (const std::string& extension :
       {";a"s, ";a=b"s, ";a=b;c=d"s, ";a;b;c"s, " ;a"s, "\t ;\t a"s, "; a = b ; c = d"s,
        ";a\t=\tb"s, ";a=\"b;c\""s, ";a=\"\""s, ";a=\"q\\\"r\""s, ";a=\"\\\\\""s,
        ";a=\"\\\t\\ \\a\""s, ";a=\"b\";c"s, ";a=\"b\" ;c"s, ";a=\" \t!#[]~\x80\xff\""s,
        ";!#$%&'*+-.^_`|~09azAZ=!#$%&'*+-.^_`|~09azAZ"s}) {
    cases.push_back({"extension", kRequest,
                     post_chunked("3" + extension + "\r\nabc\r\n0" + extension + "\r\n\r\n"),
                     "chunked(abc)"});
  }
  for (const std::string& extension : {
           ";"s,
           " "s,
           "\t"s,
           " ; "s,
           ";a "s,
           ";a= "s,
           ";a="s,
           ";=b"s,
           ";a=b "s,
           ";a=\"b\" "s,
           ";;a"s,
           ";a;"s,
           ";a b"s,
           ";a=b c"s,
           ";a=b=c"s,
           ";a==b"s,
           ";a=\"b"s,
           ";a=\"b\"c"s,
           ";a=\"b\"\"c\""s,
           ";a=b\"c\""s,
           ";\"a\""s,
           ";a=\"b\\"s,
           ";a=\"\x01\""s,
           ";a=\"\x7f\""s,
           ";a=\"\\\x01\""s,
           ";a=\"\0\""s,
           ";a=\"\r\n\""s,
           ";a=\"\\\r\n\""s,
           ";\x01"s,
           ";a\x80"s,
           ";a=\x80"s,
           ";a\0"s,
           ";a,b"s,
           ";bad[=x"s,
           " a"s,
           " =b"s,
           "=b"s,
           " 3"s,
           "; \r\n a"s,
       }) {
    cases.push_back({"no extension", kRequest,
                     post_chunked("0001" + extension + "\r\nabc\r\n0\r\n\r\n"),
                     "chunked(!bad_chunk"});
  }
  return cases;
}

// Blanks around a value are no part of it, be it a length.
inline std::vector<Case> length_cases() {
  using namespace std::string_literals;
  std::vector<Case> cases;
  for (const std::string& value :
       {" 3"s, "3"s, " \t 3"s, "\t3"s, "3 "s, "3\t"s, " 3 \t "s, "  3\t\t"s}) {
    const std::string field = "Content-Length:" + value + "\r\n";
    const std::string other = "X-A:" + value + "\r\n";
    cases.push_back({"length", Http1Parser::Role::kRequest,
                     post(other + field + other, "abc") + get(field) + "def",
                     "length(abc)length(def)"});
    cases.push_back({"length", Http1Parser::Role::kResponse,
                     ok(field, "abc") + ok(other + field, "def"), "length(abc)length(def)"});
  }
  for (const std::string& value : {" "s, "\t"s, " \t"s, "3 3"s, "3\t3"s, "3 ,"s, ", 3"s, "3\x0b"s,
                                   "\x0c"
                                   "3"s,
                                   "3 x"s,
                                   "\x80"
                                   "3"s,
                                   "3;a"s}) {
    const std::string field = "Content-Length:" + value + "\r\n";
    const bool control = value.find_first_of("\x0b\x0c") != std::string::npos;
    const char* const error = control ? "!bad_field" : "!bad_framing";
    cases.push_back({"no length", Http1Parser::Role::kRequest, post(field, "abc"), error});
    cases.push_back({"no length", Http1Parser::Role::kResponse, ok(field, "abc"), error});
  }
  return cases;
}

// Trailers are read as strictly as the fields of a head.
inline std::vector<Case> trailer_cases() {
  using namespace std::string_literals;
  constexpr auto kResponse = Http1Parser::Role::kResponse;
  std::vector<Case> cases;
  for (const std::string& trailer :
       {"A: b\r\n c"s, "A: b\r\n\tc"s, " A: b"s,      "\tA: b"s, ": b"s,   "A"s,        "A : b"s,
        "A b: c"s,     "A\x80: b"s,    "A(: b"s,      "A\0: b"s, "A: \0"s, "A: b\x01"s, "A: b\x7f"s,
        "A: b\rc"s,    "A: b\r"s,      "A: b\nC: d"s, "A\r\n"s,  "\n"s,    "\rA: b"s,   "A\n"s}) {
    cases.push_back({"bad trailer", kResponse,
                     ok("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\n" + trailer + "\r\n\r\n"),
                     "chunked(x!bad_chunk"});
  }
  return cases;
}

inline std::vector<Case> request_line_cases() {
  using namespace std::string_literals;
  constexpr auto kRequest = Http1Parser::Role::kRequest;
  const std::string host = "Host: a\r\n\r\n";
  return {
      {"HTTP/1.0", kRequest, "GET / HTTP/1.0\r\n\r\n", "none()"},
      {"HTTP/1.2", kRequest, "GET / HTTP/1.2\r\n" + host, "none()"},
      {"HTTP/1.9", kRequest, "GET / HTTP/1.9\r\n" + host, "none()"},
      {"HTTP/1.9 without Host", kRequest, "GET / HTTP/1.9\r\n\r\n", "!bad_host"},
      {"HTTP/1.9, chunked", kRequest,
       "POST / HTTP/1.9\r\nTransfer-Encoding: chunked\r\n" + host + "1\r\nx\r\n0\r\n\r\n",
       "chunked(x)"},
      {"HTTP/1.10", kRequest, "GET / HTTP/1.10\r\n" + host, "!bad_syntax"},
      {"HTTP/1.", kRequest, "GET / HTTP/1.\r\n" + host, "!bad_syntax"},
      {"HTTP/3.1", kRequest, "GET / HTTP/3.1\r\n" + host, "!bad_version"},
      {"HTTP/2.0", kRequest, "GET / HTTP/2.0\r\n" + host, "!bad_version"},
      {"HTTP/0.9", kRequest, "GET / HTTP/0.9\r\n" + host, "!bad_version"},
      {"HTTP/11.1", kRequest, "GET / HTTP/11.1\r\n" + host, "!bad_syntax"},
      {"http/1.1", kRequest, "GET / http/1.1\r\n" + host, "!bad_syntax"},
      {"simple request", kRequest, "GET /\r\n\r\n", "!bad_syntax"},
      {"HTTP/2 preface", kRequest, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "!not_http"},
      {"TLS hello", kRequest, "\x16\x03\x01\x02"s, "!not_http"},
      {"binary", kRequest, "\x80\x01"s, "!bad_syntax"},
      {"tabs", kRequest, "GET\t/\tHTTP/1.1\r\n" + host, "!bad_syntax"},
      {"two spaces before the target", kRequest, "GET  / HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"two spaces after the target", kRequest, "GET /  HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"trailing space", kRequest, "GET / HTTP/1.1 \r\n" + host, "!bad_syntax"},
      {"leading space", kRequest, " GET / HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"0x01 in the target", kRequest, "GET /\x01 HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"NUL in the target", kRequest, "GET /\0 HTTP/1.1\r\n"s + host, "!bad_syntax"},
      {"0x80 in the target", kRequest, "GET /\x80 HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"fragment", kRequest, "GET /a#b HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"backslash", kRequest, "GET \\a HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"ICE", kRequest, "SOURCE / ICE/1.0\r\n" + host, "!bad_syntax"},
      {"RTSP", kRequest, "OPTIONS / RTSP/1.0\r\n" + host, "!bad_syntax"},
      {"RTSP method", kRequest, "PLAY / HTTP/1.1\r\n" + host, "none()"},
      {"QUERY", kRequest,
       "QUERY /a HTTP/1.1\r\nContent-Length: 1\r\n" + host + "xPURGE / HTTP/1.1\r\n" + host,
       "length(x)none()"},
      {"unknown method", kRequest, "FROB / HTTP/1.1\r\n" + host, "none()"},
      {"lower-case method", kRequest, "get / HTTP/1.1\r\n" + host, "none()"},
      {"lower-case connect", kRequest, "connect a:1 HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"method of one byte", kRequest, "! / HTTP/1.1\r\n" + host, "none()"},
      {"method of every kind of byte", kRequest, "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\n" + host,
       "none()"},
      {"method of 64 bytes", kRequest, std::string(64, 'M') + " / HTTP/1.1\r\n" + host, "none()"},
      {"method of 65 bytes", kRequest, std::string(65, 'M') + " / HTTP/1.1\r\n" + host,
       "!method_too_long"},
      {"PRI of 1.1", kRequest, "PRI /a HTTP/1.1\r\n" + host, "none()"},
      {"method not a token", kRequest, "G@T / HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"no method", kRequest, "/ HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"M-SEARCH", kRequest, "M-SEARCH / HTTP/1.1\r\n" + host, "none()"},
      {"a leading CRLF", kRequest, "\r\nGET / HTTP/1.1\r\n" + host, "none()"},
      {"two leading CRLFs", kRequest, "\r\n\r\nGET / HTTP/1.1\r\n" + host, "none()"},
      {"three leading CRLFs", kRequest, "\r\n\r\n\r\nGET / HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"only CRLFs", kRequest, "\r\n\r\n", ""},
      {"leading LF", kRequest, "\nGET / HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"* for OPTIONS", kRequest, "OPTIONS * HTTP/1.1\r\n" + host, "none()"},
      {"* for GET", kRequest, "GET * HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"absolute", kRequest, "GET http://b:8/x?y HTTP/1.1\r\n" + host, "none()"},
      {"absolute, IPv6, no path", kRequest, "GET HTTPS://[::1]:8?y HTTP/1.1\r\n" + host, "none()"},
      {"absolute, user", kRequest, "GET http://u@b/ HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"absolute, no host", kRequest, "GET http:///x HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"absolute, ftp", kRequest, "GET ftp://b/ HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"authority", kRequest, "GET b:80 HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"CONNECT", kRequest, "CONNECT a:1 HTTP/1.1\r\n" + host, "none()"},
      {"CONNECT without a port", kRequest, "CONNECT a HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"CONNECT to a path", kRequest, "CONNECT /a HTTP/1.1\r\n" + host, "!bad_syntax"},
      {"CONNECT with a length", kRequest, "CONNECT a:1 HTTP/1.1\r\nContent-Length: 3\r\n" + host,
       "none()"},
  };
}

inline std::vector<Case> host_cases() {
  constexpr auto kRequest = Http1Parser::Role::kRequest;
  const auto with_host = [](const std::string& host) {
    return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
  };
  return {
      {"no Host", kRequest, "GET / HTTP/1.1\r\n\r\n", "!bad_host"},
      {"two Hosts", kRequest, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "!bad_host"},
      {"two equal Hosts", kRequest, "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", "!bad_host"},
      {"two Hosts in 1.0", kRequest, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "!bad_host"},
      {"no Host in 1.0", kRequest, "GET / HTTP/1.0\r\n\r\n", "none()"},
      {"bad Host in 1.0", kRequest, "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "!bad_host"},
      {"no Host, absolute", kRequest, "GET http://b/ HTTP/1.1\r\n\r\n", "!bad_host"},
      {"empty Host", kRequest, with_host(""), "!bad_host"},
      {"empty Host, absolute", kRequest, "GET http://b/ HTTP/1.1\r\nHost:\r\n\r\n", "none()"},
      {"name and port", kRequest, with_host("a_b.example-1.com:8080"), "none()"},
      {"empty port", kRequest, with_host("a:"), "none()"},
      {"IPv6", kRequest, with_host("[2001:db8::1]:80"), "none()"},
      {"percent", kRequest, with_host("a%20b"), "none()"},
      {"bad percent", kRequest, with_host("a%2"), "!bad_host"},
      {"only a port", kRequest, with_host(":80"), "!bad_host"},
      {"port with a letter", kRequest, with_host("a:8x"), "!bad_host"},
      {"port of six digits", kRequest, with_host("a:800000"), "!bad_host"},
      {"two ports", kRequest, with_host("a:80:80"), "!bad_host"},
      {"IPv6, no bracket", kRequest, with_host("[::1"), "!bad_host"},
      {"IPv6, empty", kRequest, with_host("[]"), "!bad_host"},
      {"IPv6, more after it", kRequest, with_host("[::1]x"), "!bad_host"},
      {"user", kRequest, with_host("u@a"), "!bad_host"},
      {"path", kRequest, with_host("a/b"), "!bad_host"},
      {"list", kRequest, with_host("a, b"), "!bad_host"},
      {"0x80", kRequest, with_host("a\x80"), "!bad_host"},
  };
}

inline std::vector<Case> sequence_cases() {
  constexpr auto kRequest = Http1Parser::Role::kRequest;
  return {
      {"pipelined", kRequest, get("") + get(""), "none()none()"},
      {"pipelined after bodies", kRequest,
       post("Content-Length: 3\r\n", "abc") + post_chunked("1\r\nd\r\n0\r\n\r\n") + get(""),
       "length(abc)chunked(d)none()"},
      {"CRLFs between", kRequest, get("") + "\r\n\r\n" + get("") + "\r\n", "none()none()"},
      {"after close", kRequest, get("Connection: close\r\n") + get(""), "none()none()"},
      {"after close with length 0", kRequest,
       post("Connection: close\r\nContent-Length: 0\r\n", get("")), "length()none()"},
      {"upgrade: websocket", kRequest,
       get("Connection: Upgrade\r\nUpgrade: websocket\r\n") + get(""), "none()none()"},
      {"upgrade: h2c with a body", kRequest,
       post("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n", "abc") + get(""),
       "length(abc)none()"},
      {"upgrade with chunks", kRequest,
       post("Connection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n",
            "1\r\nd\r\n0\r\n\r\n") +
           get(""),
       "chunked(d)none()"},
      {"garbage after a message", kRequest, get("") + "\x01", "none()!bad_syntax"},
  };
}

inline std::vector<Case> response_cases() {
  using namespace std::string_literals;
  constexpr auto kResponse = Http1Parser::Role::kResponse;
  const std::string length0 = "Content-Length: 0\r\n\r\n";
  const std::string next = ok("Content-Length: 2\r\n", "hi");
  return {
      {"no reason, no space", kResponse, "HTTP/1.1 200\r\n" + length0, "length()"},
      {"no reason", kResponse, "HTTP/1.1 200 \r\n" + length0, "length()"},
      {"HTTP/1.0", kResponse, "HTTP/1.0 200 OK\r\n\r\nabc", "close(abc)"},
      {"status line, LF", kResponse, "HTTP/1.1 200 OK\n" + length0, "!bad_syntax"},
      {"status line, CR", kResponse, "HTTP/1.1 200 OK\r" + length0, "!bad_syntax"},
      {"LF line ends", kResponse, "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "!bad_syntax"},
      {"length and coding", kResponse,
       ok("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "!bad_framing"},
      {"coding and length", kResponse,
       ok("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), "!bad_framing"},
      {"chunked, gzip", kResponse, ok("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
       "!bad_framing"},
      {"gzip", kResponse, ok("Transfer-Encoding: gzip\r\n", "abc"), "!unknown_coding"},
      {"gzip in a second line", kResponse,
       ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", "zz"), "!bad_framing"},
      {"gzip and length", kResponse,
       ok("Transfer-Encoding: gzip\r\nContent-Length: 3\r\n", "abcdef"), "!bad_framing"},
      {"chunked in 1.0", kResponse,
       "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!bad_framing"},
      {"two lengths", kResponse, ok("Content-Length: 3\r\nContent-Length: 4\r\n", "abc"),
       "!bad_framing"},
      {"100 then 200", kResponse, "HTTP/1.1 100 Continue\r\n\r\n" + next, "none()length(hi)"},
      {"103 then 200", kResponse, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + next,
       "none()length(hi)"},
      {"100 with length", kResponse, "HTTP/1.1 100 C\r\nContent-Length: 3\r\n\r\n" + next,
       "none()length(hi)"},
      {"204 with length", kResponse, "HTTP/1.1 204 N\r\nContent-Length: 3\r\n\r\n" + next,
       "none()length(hi)"},
      {"304 with length", kResponse, "HTTP/1.1 304 N\r\nContent-Length: 3\r\n\r\n" + next,
       "none()length(hi)"},
      {"204 with coding", kResponse, "HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n" + next,
       "none()length(hi)"},
      {"204 with both", kResponse,
       "HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "!bad_framing"},
      {"101", kResponse, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nzzz",
       "!bad_status"},
      {"101 without upgrade", kResponse, "HTTP/1.1 101 S\r\n\r\nzzz", "!bad_status"},
      {"upgrade offered", kResponse,
       ok("Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n", "hi") + next,
       "length(hi)length(hi)"},
      {"more after close", kResponse, ok("Connection: close\r\nContent-Length: 3\r\n", "abcEXTRA"),
       "length(abc)!bad_syntax"},
      {"more after length", kResponse, ok("Content-Length: 3\r\n", "abcHTTQ/1.1 200 OK\r\n"),
       "length(abc)!bad_syntax"},
      {"leading CRLF", kResponse, "\r\n" + next, "!bad_syntax"},
      {"until close", kResponse, ok("", "abcdef"), "close(abcdef)"},
      {"until close, empty", kResponse, ok(""), "close()"},
      {"chunked", kResponse, ok("Transfer-Encoding: Chunked\r\n", "3\r\nabc\r\n0\r\n\r\n") + next,
       "chunked(abc)length(hi)"},
      {"chunked, truncated", kResponse, ok("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"),
       "chunked(abc..."},
      {"length, truncated", kResponse, ok("Content-Length: 5\r\n", "abc"), "length(abc..."},
      {"head, truncated", kResponse, "HTTP/1.1 200 OK\r\nX", "..."},
      {"status 2000", kResponse, "HTTP/1.1 2000 OK\r\n" + length0, "!bad_status"},
      {"status 99", kResponse, "HTTP/1.1 99 OK\r\n" + length0, "!bad_status"},
      {"status 000", kResponse, "HTTP/1.1 000 OK\r\n" + length0, "!bad_status"},
      {"status 600", kResponse, "HTTP/1.1 600 OK\r\n" + length0, "!bad_status"},
      {"status 599", kResponse, "HTTP/1.1 599 OK\r\n" + length0, "length()"},
      {"status 2x0", kResponse, "HTTP/1.1 2x0 OK\r\n" + length0, "!bad_syntax"},
      {"two spaces before the status", kResponse, "HTTP/1.1  200 OK\r\n" + length0, "!bad_status"},
      {"obs-fold", kResponse, ok("X-A: b\r\n c\r\nContent-Length: 0\r\n"), "!bad_field"},
      {"space before colon", kResponse, ok("Content-Length : 0\r\n"), "!bad_field"},
      {"CR in a value", kResponse, ok("X-A: b\rContent-Length: 9\r\nContent-Length: 0\r\n"),
       "!bad_field"},
      {"empty name", kResponse, ok(": b\r\nContent-Length: 0\r\n"), "!bad_field"},
      {"NUL in the reason", kResponse, "HTTP/1.1 200 O\0K\r\n"s + length0, "!bad_syntax"},
      {"no CRLF after chunk", kResponse,
       ok("Transfer-Encoding: chunked\r\n", "3\r\nabcXX0\r\n\r\n"), "chunked(abc!bad_chunk"},
      {"chunks with LF", kResponse, ok("Transfer-Encoding: chunked\r\n", "3\nabc\n0\n\n"),
       "chunked(!bad_chunk"},
      {"HTTP/1.2", kResponse, "HTTP/1.2 200 OK\r\n" + length0, "length()"},
      {"HTTP/1.9, chunked", kResponse,
       "HTTP/1.9 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + next,
       "chunked(x)length(hi)"},
      {"HTTP/0.9", kResponse, "HTTP/0.9 200 OK\r\n" + length0, "!bad_version"},
      {"HTTP/2.0", kResponse, "HTTP/2.0 200 OK\r\n" + length0, "!bad_version"},
      {"ICY", kResponse, "ICY 200 OK\r\n\r\n", "!bad_syntax"},
      {"HTTP/1.1 alone", kResponse, "HTTP/1.1\r\n\r\n", "!bad_syntax"},
      {"connection close, tab", kResponse, ok("Connection: close\t\r\nContent-Length: 0\r\n"),
       "length()"},
  };
}

inline std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const auto& part :
       {field_cases(), framing_cases(), length_cases(), chunk_cases(), extension_cases(),
        trailer_cases(), request_line_cases(), host_cases(), sequence_cases(), response_cases()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace sluice::test
