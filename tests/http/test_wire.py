"""An answer leaves in one piece, a long one piece by piece, and nothing of it is lost."""

import asyncio

from mediation.http.wire import MOST_HELD, Gathering


class Recorder:
    def __init__(self):
        self.written, self.closed = [], False

    def write(self, data):
        self.written.append(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


async def test_what_is_written_in_one_turn_of_the_loop_is_sent_at_its_end_in_one_piece():
    sent = Recorder()
    wire = Gathering(sent)
    wire.write(b"head")
    wire.write(b"body")
    assert sent.written == []
    await asyncio.sleep(0)
    assert sent.written == [b"headbody"]
    wire.write(b"next")
    await asyncio.sleep(0)
    assert sent.written == [b"headbody", b"next"]


async def test_a_long_answer_is_not_held_back_until_the_turn_ends():
    sent = Recorder()
    wire = Gathering(sent)
    for _ in range(4):
        wire.write(b"x" * MOST_HELD)
    assert len(sent.written) == 2
    await asyncio.sleep(0)
    assert sum(map(len, sent.written)) == 4 * MOST_HELD


async def test_closing_sends_what_was_held_first():
    sent = Recorder()
    wire = Gathering(sent)
    wire.write(b"last")
    wire.close()
    assert (sent.written, sent.closed) == ([b"last"], True)
    await asyncio.sleep(0)
    assert sent.written == [b"last"]


async def test_what_was_held_for_a_client_who_has_left_is_let_go():
    sent = Recorder()
    wire = Gathering(sent)
    wire.write(b"to nobody")
    sent.close()
    await asyncio.sleep(0)
    assert sent.written == []
    assert wire.closed  # whatever else is asked of it, the transport answers
