"""The page's own messages."""

import pytest

from realtime.errors import UsageError
from realtime.view.page import gr, shown_errors


def test_a_message_that_repeats_what_was_typed_is_escaped() -> None:
    def refuse() -> None:
        raise UsageError("no <img src=x onerror=alert(1)> & no 'b'")

    with pytest.raises(gr.Error) as error:
        shown_errors(refuse)()
    assert error.value.message == "no &lt;img src=x onerror=alert(1)&gt; &amp; no 'b'"
