// The client connections of one worker and its listeners: takes clients in, and at the end lets go
// of them, all at once or spread over kEndingMs. Owned by the gateway, used on its worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/context/worker_context.h"
#include "net/http1/client_conn.h"
#include "net/http2/connection.h"
#include "net/transport/client_limit.h"
#include "net/transport/handshake.h"
#include "net/transport/handshake_pace.h"
#include "net/transport/listener.h"
#include "net/transport/proxy_conn.h"

namespace sluice {

// A listening socket of one worker, owned by who has it.
struct ListeningSocket {
  std::string identity;  // of the address that it listens on
  int fd;
  ListenOptions options = {};
};

class Clients final : public ClientSink, public ClientKeeper, public ProxyKeeper {
 public:
  Clients(Streams& streams, ClientLimit& limit, CloseWatcher& watcher);
  ~Clients();
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  size_t count() const { return clients_.size(); }

  // Listens there, too.
  void listen(const std::vector<ListeningSocket>& sockets);
  // The configuration is another one from here on: listeners whose address it has no more are
  // closed, and their clients stay.
  void reload();

  // Once a second.
  void housekeep();
  // Stops accepting, closes idle connections.
  void drain();
  // Ends a part of those that were there at the first call; to be called every kEndingStepMs, until
  // true: all have been ended.
  bool end_some();
  void drop_all();

  // A connected socket, owned from here on, whose bytes are the transform's; null: plain.
  void accepted(int fd, std::unique_ptr<Transform> transform);
  size_t handshakes() const { return handshakes_; }

  // ClientSink
  void accepted(int fd, const ListenOptions& options) override;
  void on_full() override;
  void on_accept_error(int error) override;
  // ClientKeeper
  void client_closed(AcceptedConn& conn) override;
  void handshake_done(Handshake& handshake, ConnStart start) override;
  void handshake_closed(Handshake& handshake) override;
  bool handshake_may_step(Handshake& handshake) override { return pace_.may_step(handshake); }
  void handshake_stepped(uint64_t took_ns) override { pace_.stepped(took_ns); }
  bool handshakes_are_crowded() const override;
  bool take_place_for_request() override;
  void give_place_back() override;
  void http2_began(AcceptedConn& conn, ConnStart start, std::string_view first) override;
  // ProxyKeeper
  void proxy_header_done(ProxyConn& conn, ConnStart start, std::string_view first) override;
  void proxy_closed(ProxyConn& conn) override;

 private:
  enum class Protocol : uint8_t { kHttp1, kHttp2 };

  WorkerContext& context() const { return streams().context(); }
  // False: nobody is taken in any more, and it is closed.
  bool enter(int fd);
  void keep(AcceptedConn& conn);
  // A connection behind its PROXY header, where it has one. `first` has been read already.
  AcceptedConn& begin(ConnStart start, std::unique_ptr<Transform> transform,
                      std::string_view first = {});
  // Of a client's connection that is to shake hands, from when it was accepted.
  void handshake_began();
  std::unique_ptr<Transform> make_tls();
  // The one place that says which protocol a connection carries.
  AcceptedConn& make_client(ConnStart start, Protocol protocol = Protocol::kHttp1,
                            std::string_view first = {});
  // `conn` has what the other has left.
  void take_place(AcceptedConn& conn, const AcceptedConn& of);
  void handshake_ended();
  void hold_handshakes(bool hold);
  void warn_full();
  void warn_seldom(uint64_t& due_ms, std::string_view text);

  ClientLimit& limit_;
  CloseWatcher& watcher_;
  std::vector<AcceptedConn*> clients_;
  uint64_t full_warning_due_ms_ = 0;
  uint64_t accept_warning_due_ms_ = 0;
  uint64_t ending_steps_ = 0;  // done, of end_some()
  size_t to_end_ = 0;          // when it began
  size_t not_ended_ = 0;       // the first so many of clients_
  struct Listening {
    std::string identity;
    Listener* listener;  // deletes itself once it has been closed
    bool tls;
  };
  std::vector<Listening> listeners_;
  size_t handshakes_ = 0;  // under way
  HandshakePace pace_;
};

}  // namespace sluice
