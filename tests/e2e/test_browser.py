"""Headless Chromium opens the demo page through the gateway: its EventSource and fetch receive."""

from harness import wait_until


def test_the_demo_page_streams(rig, browser):
    gateway = rig.gateway(None, "--demo")
    browser.open(gateway.url + "/")
    wait_until(lambda: browser.run("return window.sluiceDemo && window.sluiceDemo.events > 20"),
               "more than 20 events in the page", 30)
    demo = browser.run("return window.sluiceDemo")
    assert int(demo["lastId"]) >= 20
    browser.run("document.getElementById('chat-send').click()")
    wait_until(lambda: browser.run("return window.sluiceDemo.chatDone"), "the chat's end", 30)
    assert browser.run("return window.sluiceDemo.chatText")
    browser.open("about:blank")  # leaves its streams: the gateway must be idle again


def test_eventsource_resumes_after_a_cut(rig, browser):
    def numbered(server, request):
        if request.target != "/events":
            return server.respond(b"<!doctype html><title>x</title>", "Content-Type: text/html")
        first = int(request.get("last-event-id", "0")) + 1
        server.start_events()
        server.chunk(b"retry: 10\n\n")
        for i in range(first, first + 5):
            server.chunk(b"id: %d\ndata: %d\n\n" % (i, i))
        server.chunk(b"id: 999\ndata: never whole")
        server.close()

    gateway = rig.gateway(rig.upstream(numbered))
    browser.open(gateway.url + "/")
    browser.run("window.ids = []; const source = new EventSource('/events');"
                "source.onmessage = event => window.ids.push(Number(event.data));")
    wait_until(lambda: browser.run("return window.ids.length >= 20"), "20 events", 30)
    assert browser.run("return window.ids")[:20] == list(range(1, 21))
    browser.open("about:blank")
