"""Mutants of streams: what is told once, to whom, and how much may wait."""

from mutants.kinds import Mutant, Promise, edit

HUB = "pillars/store/streams/hub.py"
STREAM = "pillars/store/streams/stream.py"
TOKENS = "pillars/jobs/stream_tokens.py"
GATE = "pillars/web/gate.py"
ENDPOINTS = "pillars/web/streams/endpoints.py"
STORE = "tests/store/test_streams.py::"
WEB = "tests/web/test_streams.py::"
OF_TOKENS = "tests/web/test_stream_tokens.py::"

STREAMS = [
    Mutant(
        name="past-before-present",
        without="A stream is added to the reader before the rest of its past is read.",
        promise=Promise.TOLD,
        edits=edit(
            STREAM,
            """            self._hub.add(self._subscription)
            self._up_to = self._hub.position
        else:
            self._past = None
""",
            """            self._up_to = self._hub.position
        else:
            self._past = None
            self._hub.add(self._subscription)
""",
        ),
        tests=(STORE + "test_what_is_said_while_the_past_is_read_comes_once",),
    ),
    Mutant(
        name="past-into-present",
        without="The past is read no further than where the reader was when the stream was added.",
        promise=Promise.TOLD,
        edits=edit(
            STREAM,
            "read(self._hub.position if self._up_to is None else self._up_to)",
            "read(self._hub.position)",
        ),
        tests=(STORE + "test_what_is_said_while_the_past_is_read_comes_once",),
    ),
    Mutant(
        name="place-before-told",
        without="What waits is told before the place that a keep-alive bears.",
        promise=Promise.TOLD,
        edits=edit(
            STREAM, "if not (self.behind or self._subscription.waiting):", "if not self._subscription.waiting:"
        ),
        tests=(STORE + "test_who_reads_too_slowly_is_told_and_goes_on_where_he_was",),
    ),
    Mutant(
        name="end-before-words",
        without="What a job said before it ended is told before its end.",
        promise=Promise.TOLD,
        edits=edit(
            HUB,
            "        while turned and await self.read_once():\n            pass\n",
            "",
        ),
        tests=(STORE + "test_a_job_that_ends_with_its_words_unread_is_told_whole",),
    ),
    Mutant(
        name="waits-without-end",
        without="What waits for a slow reader is bounded.",
        promise=Promise.TOLD,
        edits=edit(
            "pillars/store/streams/subscription.py",
            "if self._waiting and (len(self._waiting) >= MOST_WAITING or self._bytes > MOST_BYTES):",
            "if self._waiting and len(self._waiting) >= 10 * MOST_WAITING:",
        ),
        tests=(STORE + "test_who_reads_too_slowly_is_told_and_goes_on_where_he_was",),
    ),
    Mutant(
        name="gone-unsaid",
        without="Who asks for what is not kept any more is told so.",
        promise=Promise.TOLD,
        edits=edit(STREAM, "            return PRUNED\n", "            return None\n"),
        tests=(STORE + "test_nobody_goes_on_after_what_is_gone_or_has_never_been",),
    ),
    Mutant(
        name="any-topic",
        without="A stream token opens the streams that it was made for alone.",
        promise=Promise.GUARDED,
        edits=edit(
            ENDPOINTS,
            "if grant is not None and not grant.topics.cover(topics):",
            "if grant is not None and not grant.topics:",
        ),
        tests=(OF_TOKENS + "test_a_token_opens_nothing_else",),
    ),
    Mutant(
        name="any-route",
        without="A stream token opens streams alone.",
        promise=Promise.GUARDED,
        edits=edit(
            GATE,
            'if not self._is_stream(scope) or scope["method"] not in READING:',
            'if scope["method"] not in READING:',
        ),
        tests=(OF_TOKENS + "test_a_token_opens_nothing_else",),
    ),
    Mutant(
        name="any-seal",
        without="A stream token counts only with the seal of this PILLARS_TOKEN.",
        promise=Promise.GUARDED,
        edits=edit(
            TOKENS,
            "if not hmac.compare_digest(_text(_seal(secret, content)).encode(), seal.encode()):",
            "if not seal:",
        ),
        tests=(OF_TOKENS + "test_a_token_that_is_none_or_over_opens_nothing",),
    ),
    Mutant(
        name="for-ever",
        without="A stream ends when its token expires.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/web/streams/response.py",
            "if self._grant is not None and self._grant.expired:",
            "if self._grant is not None and self._stream.over:",
        ),
        tests=(OF_TOKENS + "test_a_stream_ends_when_its_token_does",),
    ),
    Mutant(
        name="streams-for-any-site",
        without="Where no token is set, a page of another site holds no stream open.",
        promise=Promise.GUARDED,
        edits=edit(
            GATE,
            'if asking is LOOPBACK and is_cross_site(scope["headers"]) and self._is_stream(scope):',
            "if False:",
        ),
        tests=(WEB + "test_a_page_of_another_site_holds_no_stream_of_this_machine",),
    ),
    Mutant(
        name="said-in-the-clear",
        without="Secrets that a job says are hidden on streams.",
        promise=Promise.SECRET,
        edits=edit("pillars/web/streams/frames.py", '"body":{redacted(one.body)}', '"body":{one.body}'),
        tests=(WEB + "test_secrets_that_a_job_says_are_hidden",),
    ),
]  # fmt: skip
