"""curl, as people use it: -N for a stream, --data for a body."""

import json
import subprocess


def curl(*arguments, timeout_s=20):
    return subprocess.run(["curl", "--silent", "--show-error", *arguments], capture_output=True, timeout=timeout_s)


def test_a_stream_arrives_as_it_is_sent(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    process = subprocess.Popen(["curl", "-sN", f"{gateway.url}/events"], stdout=subprocess.PIPE, bufsize=0)
    try:
        server = upstream.accept()
        server.read_request()
        server.start_events()
        for i in range(5):
            server.chunk(b"data: %d\n\n" % i)
            assert process.stdout.readline() + process.stdout.readline() == b"data: %d\n\n" % i
        server.end_chunks()
        assert process.stdout.read() == b""
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_truncated_stream_is_an_error(rig):
    def cut(server, request):
        server.start_events()
        server.chunk(b"data: 1\n\ndata: 2")
        server.close()

    gateway = rig.gateway(rig.upstream(cut))
    for version in ("--http1.1", "--http1.0"):
        result = curl("-N", version, f"{gateway.url}/events")
        assert result.stdout == b"data: 1\n\n"
        assert result.returncode in (18, 56), result.stderr  # partial file, receive error


def test_the_demo(rig):
    gateway = rig.gateway(None, "--demo")
    body = json.dumps({"model": "demo", "stream": True, "messages": [{"role": "user", "content": "hi"}]})
    result = curl("-N", "-H", "Content-Type: application/json", "--data", body, f"{gateway.url}/v1/chat/completions")
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith(b"data: [DONE]\n\n")


def test_a_large_upload_waits_for_its_100_continue(rig, tmp_path):
    content = b"x" * 2_000_000
    file = tmp_path / "upload"
    file.write_bytes(content)

    def answer(server, request):
        server.respond(b"%d" % len(request.content))

    gateway = rig.gateway(rig.upstream(answer))
    result = curl("-H", "Expect: 100-continue", "--expect100-timeout", "0.2", "--data-binary", f"@{file}", gateway.url)
    assert result.stdout == b"2000000", result.stderr
